"""Generate all: a question for each component that is missing, several at once, each committed on its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.editors import EMACS, NEOVIM, PLAIN, VSCODE, Behaviour, RawEditor
from support.openai_endpoint import Endpoint, Reply
from support.scene import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from support.editors import Json
    from support.scene import Scene

    Start = Callable[..., Coroutine[None, None, RawEditor]]

GENERATE_ALL = "goalmap.generateAll"
MAP = """{
  "DEBUG": {
    "description": "Find the cause of a failure.",
    "persona": "detective.txt",
    "protocol": "drill.txt",
    "constraint$description": "cite what was seen",
    "constraints": ["evidence.txt", "calm.txt"]
  },
  "REVIEW": {
    "protocol": "passes.txt"
  }
}
"""
MISSING = ["drill.txt", "evidence.txt", "calm.txt", "passes.txt"]


def text_about(subject: str) -> str:
    """Return what a model writes: no two subjects have a line in common."""
    return "".join(
        f"{number}. {verb} the {subject} before the {subject} is {done}, and write {subject} down.\n"
        for number, (verb, done) in enumerate([("Find", "lost"), ("Name", "forgotten"), ("Weigh", "moved")], 1)
    )


TEXTS = {name: text_about(name.removesuffix(".txt")) for name in MISSING}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a library that lacks four components, of two goals."""
    scene = make_scene(tmp_path / "library", MAP)
    (scene.root / "components" / "constraints").mkdir()
    return scene


@pytest.fixture
def start(launch: Start) -> Start:
    """Return what starts a server for an editor, with settings of generation."""

    async def begin(endpoint: Endpoint | None = None, behaviour: Behaviour = VSCODE, **settings: Json) -> RawEditor:
        editor = await launch(behaviour, endpoint)
        editor.configure(generation=settings)
        return editor

    return begin


async def resolve(editor: RawEditor, argument: Json, **answers: str) -> Json:
    """Send the form with these answers, by the numbers of their fields."""
    by_field = {f"description.{number.lstrip('_')}": value for number, value in answers.items()}
    return await editor.resolve({"command": GENERATE_ALL, "arguments": [argument]}, **by_field)


def ask_for(scene: Scene, names: Sequence[str] = MISSING, **more: Json) -> Json:
    """Return the command's argument once every question has an answer: a component is described by its name."""
    places = {
        "drill.txt": {"goal": ["DEBUG"], "slot": "protocol", "index": None},
        "evidence.txt": {"goal": ["DEBUG"], "slot": "constraints", "index": 0},
        "calm.txt": {"goal": ["DEBUG"], "slot": "constraints", "index": 1},
        "passes.txt": {"goal": ["REVIEW"], "slot": "protocol", "index": None},
    }
    components = [{**places[name], "file": name, "description": f"about {name}"} for name in names]
    return {"uri": scene.uri, "components": components, **more}


def replies(names: Sequence[str] = MISSING, *, wait: bool = True) -> list[Reply]:
    """Return a model's answers in this order; each waits, after a few words, for its name to be opened."""
    return [Reply(text=TEXTS[name], pause=name if wait else None, pause_after=1) for name in names]


def sent(endpoint: Endpoint, number: int) -> str:
    return json.dumps(endpoint.requests[number].body["messages"])


# -- the questions -----------------------------------------------------------------------------------------------------


async def test_a_question_for_each_with_the_maps_own_description(scene: Scene, start: Start) -> None:
    editor = await start()
    asked = await resolve(editor, {"uri": scene.uri, "goal": ["DEBUG"]})
    assert [(field["id"], field["default"], field["required"]) for field in asked["formFields"]] == [
        ("description.0", "drill", False),
        ("description.1", "evidence", False),
        ("description.2", "calm", False),
    ]
    assert asked["formFields"][0]["description"] == (
        "Describe the protocol drill.txt for DEBUG in one line (leave it empty to skip it)"
    )
    editor.type("constraint$description", "constraints$description")
    asked = await resolve(editor, {"uri": scene.uri, "goal": ["DEBUG"]})
    assert [field["default"] for field in asked["formFields"]] == ["drill", "cite what was seen", "cite what was seen"]


async def test_what_is_answered_is_not_asked_again(scene: Scene, start: Start) -> None:
    editor = await start()
    asked = await resolve(editor, {"uri": scene.uri})
    again = await resolve(editor, asked["arguments"][0], _0=" steps ", _1="two\nlines", _2="  ", _3="a review")
    (field,) = again["formFields"]
    assert (field["id"], field["default"]) == ("description.1", "two\nlines")
    assert "one line" in field["error"]
    ready = await resolve(editor, again["arguments"][0], _1="what was seen")
    assert "formFields" not in ready
    (argument,) = ready["arguments"]
    assert [(one["file"], one["description"]) for one in argument["components"]] == [
        ("drill.txt", "steps"),
        ("evidence.txt", "what was seen"),
        ("calm.txt", ""),
        ("passes.txt", "a review"),
    ]


async def test_while_the_first_is_typed_the_others_are_no_mistake(scene: Scene, start: Start) -> None:
    """As VS Code judges an answer before the next question is asked."""
    editor = await start()
    asked = await resolve(editor, {"uri": scene.uri})
    judged = await resolve(editor, asked["arguments"][0], _0="x" * 501)
    assert [("error" in field) for field in judged["formFields"]] == [True, False, False, False]
    judged = await resolve(editor, asked["arguments"][0], _0="steps")
    assert [field["id"] for field in judged["formFields"]] == ["description.1", "description.2", "description.3"]


async def test_nobody_is_asked_two_hundred_questions(scene: Scene, start: Start) -> None:
    goals = {f"G{number}": {"protocol": f"p{number}.txt"} for number in range(200)}
    goals["G150"]["protocol$description"] = "as the map says"
    editor = await start()
    editor.type(editor.text, json.dumps(goals, indent=1))
    asked = await resolve(editor, {"uri": scene.uri})
    assert len(asked["formFields"]) == 20
    assert asked["formFields"][0]["description"].endswith("skip it), and 179 more another time")
    (argument,) = asked["arguments"]
    assert argument["leftOut"] == 179
    assert [one for one in argument["components"] if "description" in one] == [
        {
            "goal": ["G150"],
            "slot": "protocol",
            "index": None,
            "file": "p150.txt",
            "description": "as the map says",
        }
    ]


async def test_nothing_described_nothing_generated(scene: Scene, start: Start) -> None:
    before = scene.files()
    async with Endpoint() as endpoint:
        editor = await start(endpoint)
        asked = await resolve(editor, {"uri": scene.uri})
        ready = await resolve(editor, asked["arguments"][0], _0="", _1="", _2="", _3=" ")
        assert await editor.execute(GENERATE_ALL, *ready["arguments"]) is None
        said = await editor.client.notification("window/showMessage")
    assert "Nothing was generated." in said["message"]
    assert scene.files() == before


@pytest.mark.parametrize(
    "wrong", [{"components": 3}, {"components": [3]}, {"components": [{"goal": []}]}, {"goal": "DEBUG"}, {"uri": 1}]
)
async def test_arguments_that_make_no_sense_are_refused(wrong: Json, scene: Scene, start: Start) -> None:
    editor = await start()
    params = {"command": GENERATE_ALL, "arguments": [{"uri": scene.uri, **wrong}]}
    await editor.client.error(editor.client.begin_request("workspace/executeCommand", params))
    await editor.client.settle()


# -- the work ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [VSCODE, NEOVIM, PLAIN], ids=["vscode", "neovim", "plain"])
async def test_two_at_once_and_later_ones_see_the_earlier(behaviour: Behaviour, scene: Scene, start: Start) -> None:
    async with Endpoint(replies()) as endpoint:
        editor = await start(endpoint, behaviour)
        job = (await editor.execute(GENERATE_ALL, ask_for(scene)))["job"]
        await endpoint.reached("drill.txt")
        await endpoint.reached("evidence.txt")
        await editor.client.settle()
        assert len(endpoint.requests) == 2
        endpoint.open("drill.txt")
        await endpoint.reached("calm.txt")
        assert "about calm.txt" in sent(endpoint, 2)
        assert TEXTS["drill.txt"].splitlines()[0] in sent(endpoint, 2)
        assert TEXTS["evidence.txt"].splitlines()[0] not in sent(endpoint, 2)
        for name in MISSING[1:]:
            endpoint.open(name)
        ended = await editor.outcome(job)
    told = [
        mark
        for shown in editor.client.notifications("textDocument/publishDiagnostics")
        for mark in shown["diagnostics"]
    ]
    assert not [mark for mark in told if mark["code"] == "component.missing" and "autogen_" in mark["message"]]
    is_saved = behaviour.reloads is not None
    assert ended["outcome"] == ("committed" if is_saved else "pending-save")
    said = "4 committed" if is_saved else "4 waiting for the map to be saved"
    assert ended["message"] == f"4 components: {said}."
    if not is_saved:
        editor.save()
    await editor.until(lambda: scene.records() == [])
    assert editor.text == scene.map_text()
    written = sorted(path.read_text(encoding="utf-8") for path in scene.root.rglob("autogen_*"))
    assert written == sorted(TEXTS.values())
    assert scene.map_text().count("autogen_") == 4
    assert not any(name in scene.map_text() for name in MISSING)


async def test_edits_of_one_buffer_wait_for_one_another(scene: Scene, start: Start) -> None:
    """Both are on one line, and the editor knows no versions: at once, the second would hit what the first moved."""
    both = ["evidence.txt", "calm.txt"]
    async with Endpoint(replies(both)) as endpoint:
        editor = await start(endpoint, EMACS.but(versioned=False))
        editor.type("Find the cause of a failure.", "My words.")
        job = (await editor.execute(GENERATE_ALL, ask_for(scene, both)))["job"]
        for name in both:
            await endpoint.reached(name)
        for name in both:
            endpoint.open(name)
        await editor.until(lambda: bool(editor.asked))
        for request in endpoint.requests:
            await request.ended.wait()
        for _ in range(50):  # both texts are there: time enough for the other one, if it did not wait
            await editor.client.settle()
        assert len(editor.asked) == 1
        editor.announce()
        await editor.until(lambda: len(editor.asked) == 2)
        editor.announce()
        assert (await editor.outcome(job))["outcome"] == "pending-save"
    names = sorted(path.name for path in scene.root.rglob("autogen_*"))
    assert sorted(json.loads(editor.text)["DEBUG"]["constraints"]) == names
    assert "My words." in editor.text


async def test_a_reload_that_comes_after_the_next_commit_is_no_typing(scene: Scene, start: Start) -> None:
    async with Endpoint(replies(["drill.txt", "passes.txt"])) as endpoint:
        editor = await start(endpoint)
        job = (await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt", "passes.txt"])))["job"]
        for name in ("drill.txt", "passes.txt"):
            await endpoint.reached(name)
        endpoint.open("drill.txt")
        await editor.client.notification("goalmap/written")
        between = scene.map_text()
        endpoint.open("passes.txt")
        await editor.client.notification("goalmap/written")
        editor.version += 1
        editor.text = between
        editor.client.change(scene.uri, editor.version, {"text": between})
        await editor.outcome(job)  # reloads what is there now
        await editor.client.settle()
        await editor.diagnostics(lambda codes: codes == ["component.missing"] * 2)
    assert editor.asked == []
    assert editor.text == scene.map_text()


async def test_cancelling_keeps_what_is_done(scene: Scene, start: Start) -> None:
    async with Endpoint(replies()) as endpoint:
        editor = await start(endpoint, maxConcurrency=1)
        job = (await editor.execute(GENERATE_ALL, ask_for(scene)))["job"]
        await endpoint.reached("drill.txt")
        endpoint.open("drill.txt")
        await endpoint.reached("evidence.txt")
        stop = (await code_actions(editor, 9, 20))[0]
        assert stop["title"] == "Stop generating passes.txt and 2 more"
        assert await editor.execute(stop["command"]["command"], *stop["command"]["arguments"]) is True
        ended = await editor.outcome(job)
        assert len(endpoint.requests) == 2
    assert ended["outcome"] == "cancelled"
    assert ended["message"] == "4 components: 1 committed, 3 cancelled."
    assert scene.map_text() == MAP.replace("drill.txt", "autogen_protocol_for_debug.txt")
    assert scene.generated.read_text(encoding="utf-8") == TEXTS["drill.txt"]
    assert scene.records() == []


async def test_the_summary_says_what_was_skipped_and_why_others_failed(scene: Scene, start: Start) -> None:
    refusal = Reply(text="I'm sorry, but I can't help with that.")
    async with Endpoint([refusal, refusal, *replies(["calm.txt"], wait=False)]) as endpoint:
        editor = await start(endpoint, maxConcurrency=1)
        argument = ask_for(scene, ["drill.txt", "evidence.txt", "calm.txt"], leftOut=7)
        argument["components"][1]["description"] = ""
        ended = await editor.outcome((await editor.execute(GENERATE_ALL, argument))["job"])
    assert ended["outcome"] == "failed"
    assert ended["message"].startswith("10 components: 1 committed, 8 skipped, 1 failed. drill.txt: ")
    assert "autogen_constraint_for_debug.txt" in scene.map_text()


async def test_a_failure_that_all_would_meet_is_met_once(scene: Scene, start: Start) -> None:
    async with Endpoint([Reply(status=401, repeat=True)]) as endpoint:
        editor = await start(endpoint, maxConcurrency=1)
        ended = await editor.outcome((await editor.execute(GENERATE_ALL, ask_for(scene)))["job"])
        assert len(endpoint.requests) == 1
    assert ended["message"].startswith("4 components: 4 failed. drill.txt: ")
    assert "GOALMAP_API_KEY" in ended["message"]
    assert "evidence.txt, calm.txt, passes.txt: Not begun" in ended["message"]


async def test_what_is_under_way_is_not_begun_twice(scene: Scene, start: Start) -> None:
    async with Endpoint(replies(["drill.txt", "passes.txt"])) as endpoint:
        editor = await start(endpoint)
        job = (await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt"])))["job"]
        await endpoint.reached("drill.txt")
        asked = await resolve(editor, {"uri": scene.uri})
        assert [one["file"] for one in asked["arguments"][0]["components"]] == MISSING[1:]
        assert await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt"])) is None
        assert "already" in (await editor.client.notification("window/showMessage"))["message"]
        other = (await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt", "passes.txt"])))["job"]
        await endpoint.reached("passes.txt")
        stop = (await code_actions(editor, 4, 20))[0]
        assert (stop["title"], stop["command"]["arguments"]) == ("Stop generating drill.txt", [{"job": job}])
        endpoint.open("drill.txt")
        endpoint.open("passes.txt")
        assert (await editor.outcome(job))["message"] == "1 component: 1 committed."
        assert (await editor.outcome(other))["message"] == "2 components: 1 committed, 1 skipped."
        assert len(endpoint.requests) == 2


async def test_undo_takes_back_all_of_them(scene: Scene, start: Start) -> None:
    before = scene.files()
    async with Endpoint(replies(wait=False)) as endpoint:
        editor = await start(endpoint)
        job = (await editor.execute(GENERATE_ALL, ask_for(scene)))["job"]
        assert (await editor.outcome(job))["outcome"] == "committed"
        assert await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job}) is True
    assert scene.files() == before


async def code_actions(editor: RawEditor, line: int, character: int) -> list[Json]:
    place = {"line": line, "character": character}
    return await editor.actions({"start": place, "end": place})


async def test_the_quick_fix_is_for_a_goal_or_for_the_map(scene: Scene, start: Start) -> None:
    editor = await start()
    goal, everything = (action["command"] for action in (await code_actions(editor, 4, 20))[-2:])
    assert goal["title"] == "Generate all 3 missing components of DEBUG…"
    assert (goal["command"], goal["arguments"]) == (GENERATE_ALL, [{"uri": scene.uri, "goal": ["DEBUG"]}])
    assert everything["title"] == "Generate all 4 missing components of the map…"
    assert everything["arguments"] == [{"uri": scene.uri}]
    titles = [action["title"] for action in await code_actions(editor, 9, 20)]
    assert [title for title in titles if "all" in title] == [everything["title"]]  # this goal lacks but one


async def test_a_client_that_cannot_ask_is_offered_a_guess(scene: Scene, start: Start) -> None:
    async with Endpoint(replies(MISSING[:3], wait=False)) as endpoint:
        editor = await start(endpoint, PLAIN, maxConcurrency=1)
        actions = await code_actions(editor, 4, 20)
        titles = [action["title"] for action in actions]
        assert titles[-2:] == [
            "Generate all 3 missing components of DEBUG as the map and their names say",
            "Generate all 4 missing components of the map as the map and their names say",
        ]
        command = actions[-2]["command"]
        job = (await editor.execute(command["command"], *command["arguments"]))["job"]
        ended = await editor.outcome(job)
        assert "drill" in sent(endpoint, 0)
    assert ended["message"] == "3 components: 3 waiting for the map to be saved."
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text().count("autogen_") == 3


# -- progress ----------------------------------------------------------------------------------------------------------


async def test_the_last_words_are_shown_also_when_they_come_fast(scene: Scene, start: Start) -> None:
    """The model writes ten pieces at once, and then nothing: what is shown is all ten, not the first."""
    text = TEXTS["drill.txt"]
    async with Endpoint([Reply(text=text, chunk_chars=10, pause="later", pause_after=10)]) as endpoint:
        editor = await start(endpoint)
        job = (await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt"])))["job"]
        last = text[:100].split()[-1]
        shown = await editor.client.notification(
            "$/progress", lambda params: params["value"].get("message", "").endswith(last)
        )
        assert shown["value"]["kind"] == "report"
        endpoint.open("later")
        await editor.outcome(job)
        values = [params["value"] for params in editor.client.notifications("$/progress")]
    assert values[-1]["kind"] == "end"
    assert values[-2]["percentage"] == 100


# -- a component that several goals lack -------------------------------------------------------------------------------
@pytest.mark.parametrize("dirty", [False, True], ids=["saved", "with changes"])
async def test_a_component_that_several_goals_lack_is_asked_about_and_written_once(
    dirty: bool, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    shared = MAP.replace('"passes.txt"', '"drill.txt"')
    scene.map.write_text(shared)
    endpoint.add(Reply(text=TEXTS["drill.txt"]))
    editor = await start(endpoint)
    asked = await resolve(editor, {"uri": scene.uri})
    questions = [field["description"] for field in asked["formFields"]]
    assert "Describe the protocol drill.txt for DEBUG and 1 more in one line (leave it empty to skip it)" in questions
    assert len(questions) == 3
    ready = await resolve(editor, asked["arguments"][0], _0="a drill", _1="", _2="")
    if dirty:
        editor.type("Find the cause of a failure.", "My words.")
    job = (await editor.execute(GENERATE_ALL, *ready["arguments"]))["job"]
    ended = await editor.outcome(job)
    assert len(endpoint.requests) == 1
    assert "1 waiting" in ended["message"] if dirty else "1 committed" in ended["message"]
    if dirty:
        editor.save()
        await editor.until(lambda: scene.records() == [])
    names = json.loads(scene.map_text())
    assert names["DEBUG"]["protocol"] == names["REVIEW"]["protocol"] == "autogen_protocol_for_debug.txt"
    assert not (scene.root / "components/protocols/autogen_protocol_for_review.txt").exists()
    said = [params["message"] for params in editor.client.notifications("window/showMessage")]
    assert not any("being generated" in message for message in said)


async def test_a_sibling_is_not_called_another_process(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    endpoint.add(*replies(["drill.txt", "passes.txt"]))
    editor = await start(endpoint, maxConcurrency=2)
    job = (await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt", "passes.txt"])))["job"]
    for name in ("drill.txt", "passes.txt"):
        await endpoint.reached(name)
    for name in ("drill.txt", "passes.txt"):
        endpoint.open(name)
    assert "2 committed" in (await editor.outcome(job))["message"]
    said = [params["message"] for params in editor.client.notifications("window/showMessage")]
    assert not any("another process" in message for message in said)


async def test_undo_says_so_where_half_of_a_job_is_on_disk_below_unsaved_changes(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    endpoint.add(*replies(["drill.txt", "passes.txt"]))
    editor = await start(endpoint, maxConcurrency=1)
    job = (await editor.execute(GENERATE_ALL, ask_for(scene, ["drill.txt", "passes.txt"])))["job"]
    await endpoint.reached("drill.txt")
    endpoint.open("drill.txt")
    await endpoint.reached("passes.txt")  # the first is committed on disk by now
    editor.reload()
    editor.type("Find the cause of a failure.", "My words.")
    endpoint.open("passes.txt")
    await editor.outcome(job)
    assert not await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    await editor.said("save it")
    assert "autogen_protocol_for_review.txt" not in editor.text
    editor.save()
    assert await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    assert json.loads(scene.map_text())["DEBUG"]["protocol"] == "drill.txt"
