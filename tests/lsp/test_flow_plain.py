"""The flow for a client that declares nothing of ours: what Helix, Kate, and any editor without glue can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.editors import PLAIN
from support.openai_endpoint import Endpoint, Reply
from support.scene import GENERATED, MAP, MISSING, TEXT, committed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.editors import Json, RawEditor
    from support.scene import Scene

    Start = Callable[..., Coroutine[None, None, RawEditor]]

ERROR = 1
TARGET = f"new file components/protocols/{GENERATED}"
PLACEHOLDER = "TODO: what this component is for, in one line"


async def actions_at(editor: RawEditor, file: str = MISSING) -> list[Json]:
    return await editor.actions(editor.place_of(file))


async def test_no_question_is_offered_that_nobody_would_ask(launch: Start) -> None:
    titles = [action["title"] for action in await actions_at(await launch(PLAIN))]
    assert titles[:2] == [f"Generate drill.txt as «drill» ({TARGET})", "Describe drill.txt in the map first"]
    assert not any(title.endswith("…") for title in titles)


async def test_the_guess(launch: Start, scene: Scene, endpoint: Endpoint) -> None:
    file = "root_cause_analysis_drilldown.txt"
    scene.map.write_text(MAP.replace(MISSING, file), encoding="utf-8")
    editor = await launch(PLAIN, endpoint)
    guess = (await actions_at(editor, file))[0]
    assert guess["title"] == f"Generate {file} as «root cause analysis drilldown» ({TARGET})"
    assert guess["isPreferred"]
    endpoint.add(Reply(text=TEXT))
    ended = await editor.outcome((await editor.choose(guess))["job"])
    sent = str(endpoint.requests[0].body["messages"])
    assert "root cause analysis drilldown" in sent
    assert "Find the cause of a failure." in sent  # the goal's own description
    assert ended["outcome"] == "pending-save"
    assert GENERATED in editor.text
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    await editor.clean()


async def test_described_in_the_map_first(launch: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await launch(PLAIN, endpoint)
    await editor.choose((await actions_at(editor))[1])
    described = f'    "protocol$description": "{PLACEHOLDER}",\n    "protocol": "drill.txt"'
    assert editor.text == MAP.replace('    "protocol": "drill.txt"', described)
    # The placeholder is not a description yet.
    assert (await actions_at(editor))[0]["title"].startswith("Generate drill.txt as «drill»")
    words = "root cause analysis of production incidents"
    editor.type(PLACEHOLDER, words)
    actions = await actions_at(editor)
    assert actions[0]["title"] == f"Generate drill.txt as «{words}» (from the map; {TARGET})"
    assert not any(action["title"].startswith("Describe") for action in actions)
    before = editor.text
    endpoint.add(Reply(text=TEXT))
    ended = await editor.outcome((await editor.choose(actions[0]))["job"])
    assert words in str(endpoint.requests[0].body["messages"])
    assert ended["outcome"] == "pending-save"
    assert editor.text == committed(before)
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed(before)


async def test_how_it_ended_is_said_in_a_message(launch: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await launch(PLAIN, endpoint)
    endpoint.add(Reply(status=401))
    await editor.choose((await actions_at(editor))[0])
    assert (await editor.said("GOALMAP_API_KEY"))["type"] == ERROR
    assert editor.text == scene.map_text() == MAP
