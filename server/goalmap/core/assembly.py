"""The prompt of a goal, assembled from its components, and which of its characters came from which of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from goalmap.core.goal_map import Goal, Reference
from goalmap.core.library import Library
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.text import visible

# Give the text of a component by its path in the library; None where there is none that can be read.
Read: TypeAlias = Callable[[str], str | None]

JOINT: Final = "\n\n---\n\n"
REQUEST_HERE: Final = "[INSERT YOUR SPECIFIC REQUEST HERE]"
PERSONA_SLOT: Final = "persona"

# A template is somebody's text: it must not be able to fill the memory.
_MAX_RENDERED: Final = 4 << 20
_MAX_RANGE: Final = 10_000


class Segment(NamedTuple):
    """Characters `start` to `end` of a prompt are, one by one, the first ones of the component at `path`."""

    start: int
    end: int
    path: str


class TemplateError(NamedTuple):
    """Why a template could not be rendered; `line` counts from 0, `name` is the unknown variable where that is why."""

    path: str
    line: int
    message: str
    name: str | None = None


class Prompt(NamedTuple):
    """An assembled prompt. Where components are `missing`, their place holds `⟨missing: protocols/x.txt⟩`."""

    text: str
    segments: tuple[Segment, ...]
    missing: tuple[Reference, ...]
    error: TemplateError | None = None

    def source_at(self, offset: int) -> tuple[str, int, int] | None:
        """Return the component's path, line and column for a character; None where no component gave it."""
        for segment in self.segments:
            if segment.start <= offset <= segment.end:
                before = self.text[segment.start : offset]
                return segment.path, before.count("\n"), len(before) - (before.rfind("\n") + 1)
        return None


def assemble(goal: Goal, library: Library, read: Read) -> Prompt:
    """Return the prompt of `goal`; missing components become placeholders.

    With a template that cannot be rendered, the prompt is the default one and `error` says why.
    """
    texts, missing = component_texts(goal, library, read)
    template = goal.template
    if template is None:
        return _default(goal, texts, missing)
    path = library.path(TEMPLATE_SLOT, template.file)
    source = read(path)
    if source is None:
        return _default(goal, texts, (*missing, template))
    rendered = render(source, path, variables(goal, texts))
    if isinstance(rendered, TemplateError):
        plain = _default(goal, texts, missing)
        return Prompt(plain.text, plain.segments, missing, rendered)
    return Prompt(rendered, _segments(rendered, texts), missing)


Texts: TypeAlias = Mapping[str, list[tuple[str, str]]]


def component_texts(goal: Goal, library: Library, read: Read) -> tuple[Texts, tuple[Reference, ...]]:
    """Return each slot's components as (path, text), and the references whose component cannot be read."""
    texts: dict[str, list[tuple[str, str]]] = {}
    missing: list[Reference] = []
    for slot in goal.slots.values():
        if slot.name == TEMPLATE_SLOT:
            continue
        slot_texts = texts.setdefault(slot.name, [])
        for reference in slot.references:
            path = library.path(slot.name, reference.file)
            text = read(path) if reference.file else None
            if text is None:
                missing.append(reference)
                slot_texts.append(("", placeholder(library, reference)))
            else:
                slot_texts.append((path, text.rstrip()))
    return texts, tuple(missing)


def placeholder(library: Library, reference: Reference) -> str:
    """Return what stands for a missing component."""
    path = library.path(reference.slot, reference.file or "…").partition("/")[2]
    return f"⟨missing: {visible(path)}⟩"


def heading(slot: str) -> str:
    """Return the heading of a slot's section, without the hashes."""
    return slot.upper().replace("_", " ")


def _default(goal: Goal, texts: Texts, missing: tuple[Reference, ...]) -> Prompt:
    return _joined(f"# {goal.title or goal.name}", texts, missing)


def _joined(head: str, texts: Texts, missing: tuple[Reference, ...]) -> Prompt:
    parts = [head]
    length = len(head)
    segments: list[Segment] = []

    def put(text: str, path: str = "") -> None:
        nonlocal length
        parts.append(text)
        if path:
            segments.append(Segment(length, length + len(text), path))
        length += len(text)

    for slot, slot_texts in texts.items():
        if not slot_texts:
            continue
        put(f"\n\n## {heading(slot)}\n\n")
        for number, (path, text) in enumerate(slot_texts):
            if number:
                put(JOINT)
            put(text, path)
    return Prompt("".join(parts), tuple(segments), missing)


# -- templates -------------------------------------------------------------------------------------------------------
def variables(goal: Goal, texts: Texts) -> dict[str, Any]:
    """Return what a template is given: `goal`, `title`, `description`, each slot by its name, and `slots`."""
    slots = {slot: [text for _, text in slot_texts] for slot, slot_texts in texts.items()}
    about = {"goal": goal.name, "title": goal.title or goal.name, "description": goal.description or "", "slots": slots}
    return {**{slot: JOINT.join(slot_texts) for slot, slot_texts in slots.items()}, **about}


def variable_names(goal: Goal) -> set[str]:
    """Return the names that a template of `goal` may use."""
    return {"goal", "title", "description", "slots"} | {slot for slot in goal.slots if slot != TEMPLATE_SLOT}


def environment() -> Any:
    """Return the sandbox that templates run in: nothing can be changed, and no name may be undefined."""
    from jinja2 import StrictUndefined  # late: most goals have no template
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(["*", "**"])

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not (isinstance(left, int) and isinstance(right, int)):
                raise SecurityError(
                    f"{operator} is for whole numbers here" if operator == "*" else "** is not available"
                )
            return super().call_binop(context, operator, left, right)

    sandbox = Environment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)
    sandbox.globals = {"range": _short_range}
    return sandbox


def _short_range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > _MAX_RANGE:
        raise OverflowError(f"A range may have at most {_MAX_RANGE} numbers")
    return numbers


def render(source: str, path: str, values: Mapping[str, Any]) -> str | TemplateError:
    """Return the rendered template without trailing white space, or why it cannot be rendered. Never raises."""
    from jinja2 import TemplateSyntaxError, UndefinedError

    try:
        pieces: list[str] = []
        length = 0
        for piece in environment().from_string(source).generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > _MAX_RENDERED:
                return TemplateError(path, 0, f"It renders to more than {_MAX_RENDERED >> 20} MiB")
        return "".join(pieces).rstrip()
    except TemplateSyntaxError as error:
        return TemplateError(path, max((error.lineno or 1) - 1, 0), str(error.message))
    except UndefinedError as error:
        return TemplateError(path, _template_line(error), str(error.message))
    except Exception as error:  # noqa: BLE001 - a template may do anything that Python's operators can
        return TemplateError(path, _template_line(error), f"{type(error).__name__}: {error}")


def _template_line(error: BaseException) -> int:
    """Return the line of the template in which `error` was raised, from 0: Jinja rewrites its traceback to say it."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return max(line - 1, 0)


def _segments(rendered: str, texts: Texts) -> tuple[Segment, ...]:
    """Find the components' texts in a rendered template: those that it took over as they are."""
    segments: list[Segment] = []
    for slot_texts in texts.values():
        for path, text in slot_texts:
            start = rendered.find(text) if text and path else -1
            if start >= 0:
                segments.append(Segment(start, start + len(text), path))
    return tuple(sorted(segments, key=lambda segment: segment.start))


# -- the pair of files -----------------------------------------------------------------------------------------------
def build_pair(goal: Goal, library: Library, read: Read, *, title: str | None = None) -> tuple[str, str, Prompt]:
    """Return the texts of `00_PERSONA.md` and `01_PROMPT_TEMPLATE.md`, and the prompt that they come from."""
    title = title or goal.title or goal.name
    prompt = assemble(goal, library, read)
    texts, _ = component_texts(goal, library, read)
    persona = JOINT.join(text for _, text in texts.get(PERSONA_SLOT, []))
    rest = {slot: slot_texts for slot, slot_texts in texts.items() if slot != PERSONA_SLOT}
    body = prompt.text if goal.template and not prompt.error else _joined(f"# {title}", rest, ()).text
    return f"# Persona: {title}\n\n{persona}\n", f"{body}\n\n{REQUEST_HERE}\n", prompt
