"""The operators' page in a real browser: what it shows and does, for keyboards, phones and dark screens, with hostile names."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import quote

import pytest

import chromium
import demo
from callers import bearer, key_entry, see_variables
from chromium import Browser
from child import TARGET, fetch
from conftest import CLOSED_PORT, OpenWorld
from resilience import NEVER_EJECTED
from settings import Settings
from world import ADMIN, BEARER, World, chat_body

PAGE = demo.PAGE_PATH
PICTURES = TARGET / "page"
# A name that would run as HTML, and end a script.
HOSTILE = "<img src=x onerror=document.title='hacked'></script><script>document.title='hacked'</script>\"'`${1}"
BROWSER = {"accept-encoding": "gzip, deflate, br"}


@pytest.fixture(scope="module")
def page_world(settings: Callable[[], Settings], open_world: OpenWorld) -> Iterator[World]:
    changed = settings()
    changed.add_cluster(HOSTILE, CLOSED_PORT)
    changed.upstreams[HOSTILE] = {"host": "localhost"}
    changed.models.append({"name": HOSTILE, "targets": [{"upstream": HOSTILE, "model": HOSTILE}], "limits": {"requests_per_minute": 9}})
    changed.values("router")["ejection"] = NEVER_EJECTED
    auth = changed.values("auth")
    auth["virtual_keys"] = {"secrets": [{"env": "KEY_SECRET"}]}
    auth["keys"].append(key_entry(HOSTILE, "sk-hostile", labels={"team": HOSTILE}, limits={"requests_per_minute": 50, "cost_per_day": 5}))
    see_variables(changed, "KEY_SECRET")
    with open_world(changed.text()) as world:
        for key, model in (("sk-hostile", HOSTILE), ("sk-hostile", "gpt-4o"), (demo.USER_KEY, "gpt-4o"), (demo.USER_KEY, HOSTILE)):
            for _ in range(3):
                world.send(chat_body(model=model), headers=bearer(key))
        yield world


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        chromium.find()
    except chromium.NoChromium as why:
        pytest.skip(str(why))
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def test_answer(world: World) -> None:
    """Nobody needs a key for the page. It allows only its own style and script; nothing may show it in a frame or keep it."""
    answer = world.send(path=PAGE, method="GET", headers=BROWSER)
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["connect-src"] == "'self'" and "unsafe" not in str(policy) and "http" not in str(policy)
    assert len(answer.content) <= 60 * 1024
    assert not [word for word in ("innerHTML", "localStorage", "sessionStorage", "document.cookie", "http://", "https://") if word in answer.text.replace("http://www.w3.org/2000/svg", "")]
    head = world.send(path=PAGE, method="HEAD", headers=BROWSER)
    assert head.status_code == 200 and head.content == b""
    assert world.send(path=PAGE, method="POST", headers=ADMIN).status_code in (401, 405)
    with world.http.stream("GET", PAGE, headers=BROWSER) as raw:
        packed = b"".join(raw.iter_raw())
    assert gzip.decompress(packed) == answer.content


def test_limits_of_another_key(page_world: World) -> None:
    """Administrators see those of every key, callers only their own."""

    def limits(headers: dict[str, str], name: str = HOSTILE) -> Any:
        return page_world.send(path=f"/gateway/limits?id={quote(name)}", method="GET", headers=headers)

    def first(headers: dict[str, str]) -> Any:
        """Without the seconds that pass between two requests."""
        subject = limits(headers).json()["subjects"][0]
        for limit in subject["limits"].values():
            limit.pop("reset_seconds", None)
        return subject

    (subject,) = [each for each in limits(ADMIN).json()["subjects"] if each["subject"] == "key"]
    assert subject["id"] == HOSTILE and subject["limits"]["requests_per_minute"]["limit"] == 50
    assert first(bearer("sk-hostile")) == first(ADMIN)
    assert (limits(BEARER).status_code, limits(BEARER).json()["error"]["code"]) == (403, "admin_only")
    assert (limits(ADMIN, "nobody").status_code, limits(ADMIN, "nobody").json()["error"]["param"]) == (400, "id")
    issued = page_world.send(json.dumps({"id": "own", "limits": {"tokens_per_day": 7}}).encode(), path="/gateway/keys", headers=ADMIN)
    assert issued.status_code == 200
    assert limits(ADMIN, "own").json()["subjects"][0]["limits"]["tokens_per_day"]["remaining"] == 7


def _sign_in(browser: Browser, world: World, key: str, view: str) -> None:
    browser.complaints.clear()
    browser.requested.clear()
    browser.open("about:blank")
    browser.open(f"{world.url}{PAGE}#{view}")
    browser.type(key)  # the field has the focus
    browser.press("Enter", 13)
    browser.until(f"document.querySelector('nav a[aria-current]')?.hash === '#{view}'")


def _go(browser: Browser, view: str) -> None:
    browser.run(f"document.querySelector('nav a[href=\"#{view}\"]').click()")
    browser.until(f"!document.querySelector('#{view}').hidden")


def _text(browser: Browser, selector: str = "main") -> str:
    return browser.run(f"document.querySelector({json.dumps(selector)}).innerText")


def _set(browser: Browser, selector: str, value: str) -> None:
    browser.run(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")


def _press(browser: Browser, label: str) -> None:
    """Presses the button with this accessible name, as keyboards do: it takes the focus, then Enter."""
    wanted = f"[...document.querySelectorAll('button')].find(each => each.checkVisibility() && (each.ariaLabel ?? each.textContent) === {json.dumps(label)})"
    browser.until(f"{wanted} !== undefined")
    browser.run(f"{wanted}.focus()")
    browser.press("Enter", 13)


def _is_unharmed(browser: Browser, world: World) -> None:
    assert browser.run("document.title") == "Sluice" and browser.run("document.querySelectorAll('img, script').length") == 1
    assert not browser.complaints
    assert all(address.startswith((world.url, "data:", "about:", "blob:")) for address in browser.requested), browser.requested


def _picture(browser: Browser, name: str) -> None:
    for kind, width, height, scheme in (("light", 1280, 800, "light"), ("dark", 1280, 800, "dark"), ("phone", 390, 844, "light")):
        browser.look(width, height, scheme)
        assert browser.run("document.documentElement.scrollWidth") <= width, f"{name} is too wide: {kind}"
        browser.screenshot(PICTURES / f"{name}-{kind}.png")
    browser.look(1280, 800, "light")


def test_clusters(page_world: World, browser: Browser) -> None:
    """An administrator ejects and restores a cluster with the keyboard."""
    page_world.settle()
    _sign_in(browser, page_world, demo.ADMIN_KEY, "clusters")
    browser.until("document.querySelectorAll('#clusters tbody tr').length >= 4")
    assert HOSTILE in _text(browser)
    _press(browser, "Eject mock-a")
    browser.until("document.querySelector('#confirm').open && document.activeElement.id === 'confirm-value'")
    browser.run("document.activeElement.select()")
    browser.type("90s")
    browser.press("Enter", 13)
    browser.until("document.querySelector('#status').textContent === 'mock-a is ejected.'")
    browser.until("/ejected\\s+manual\\s+1 min/.test(document.querySelector('#clusters').innerText)")
    states = {each["cluster"]: each for each in page_world.send(path="/gateway/upstreams", method="GET", headers=ADMIN).json()["data"]}
    assert states["mock-a"]["state"] == "ejected" and 60 < states["mock-a"]["until"] - time.time() <= 90
    _picture(browser, "clusters")
    _press(browser, f"Eject {HOSTILE}")
    browser.until("document.querySelector('#confirm').open")
    browser.press("Escape", 27)
    browser.until("!document.querySelector('#confirm').open")
    _press(browser, "Restore mock-a")
    browser.until("document.querySelector('#status').textContent === 'mock-a is restored.'")
    _press(browser, f"Eject {HOSTILE}")
    browser.until("document.querySelector('#confirm').open")
    browser.press("Enter", 13)
    browser.until("document.querySelector('#status').textContent.endsWith('is ejected.')")
    _press(browser, f"Restore {HOSTILE}")
    browser.until("document.querySelector('#status').textContent.endsWith('is restored.')")
    _is_unharmed(browser, page_world)


def test_requests(page_world: World, browser: Browser) -> None:
    """The last requests of all workers, live: what each cost and where it went, found by model and status; never its prompt."""
    page_world.settle()
    page_world.fault({"fault": "status", "status": 503}, "mock-a", "mock-b")
    _sign_in(browser, page_world, demo.ADMIN_KEY, "requests")
    for _ in range(12):  # over new connections, so at both workers
        assert fetch_chat(page_world, "the-prompt-that-nobody-may-read") == 200
    page_world.fault({}, "mock-a", "mock-b")
    shown = "document.querySelectorAll('#requests tbody tr').length"
    browser.until(f"{shown} >= 24")  # also those from before somebody looked
    told = _text(browser, "#requests .content")
    assert HOSTILE in told and "by weighted" in told and "server error" in told and "nobody-may-read" not in told
    _set(browser, "#requests-status", "retried")
    browser.run("document.querySelector('#requests-words').focus()")
    browser.type("gpt-4o 200")
    browser.until("/^\\d+ of \\d+$/.test(document.querySelector('#requests .count').textContent)")
    assert browser.run(f"{shown} > 0 && [...document.querySelectorAll('#requests tbody tr')].every(row => row.innerText.includes('mock-'))")
    _picture(browser, "requests-found")
    browser.run("document.querySelector('#requests form').reset(); document.querySelector('#requests-pause').click()")
    count = browser.run(shown)
    assert fetch_chat(page_world, "Hello") == 200
    time.sleep(2)
    assert browser.run(shown) == count
    browser.run("document.querySelector('#requests-pause').click()")
    browser.until(f"{shown} > {count}")
    _picture(browser, "requests")
    _is_unharmed(browser, page_world)


def fetch_chat(world: World, prompt: str) -> int:
    """One chat over a connection of its own."""
    body = chat_body(prompt)
    headers = {"content-type": "application/json", **BEARER}
    return fetch(f"{world.url}{demo.CHAT_PATH}", "POST", body, headers)[0]


def test_usage_and_limits(page_world: World, browser: Browser) -> None:
    page_world.settle()
    _sign_in(browser, page_world, demo.ADMIN_KEY, "usage")
    browser.until("document.querySelectorAll('#usage svg').length === 4")
    shown = browser.run("[...document.querySelectorAll('#usage svg')].map(each => each.getAttribute('aria-label'))")
    assert any(HOSTILE in told for told in shown) and any("gpt-4o" in told for told in shown)
    browser.run("document.querySelector('#usage input[value=cost]').click()")
    browser.until("document.querySelector('#usage svg').getAttribute('aria-label').includes('$')")
    browser.run("document.querySelector('#usage details').open = true")
    _picture(browser, "usage")
    _go(browser, "limits")
    _set(browser, "#limits-key", HOSTILE)
    browser.run("document.querySelector('#limits form').requestSubmit()")
    browser.until("document.querySelector('#limits .content').innerText.includes('of 50 left')")
    browser.until("document.querySelectorAll('#key-ids option').length >= 3")
    _picture(browser, "limits")
    _is_unharmed(browser, page_world)


def test_keys(page_world: World, browser: Browser) -> None:
    """Issues a key, which works; revokes it, and it works no longer; undoes that."""
    _sign_in(browser, page_world, demo.ADMIN_KEY, "keys")
    browser.until("document.querySelectorAll('#keys tbody tr').length >= 3")
    assert HOSTILE in _text(browser, "#keys")
    browser.run("document.querySelector('#keys details').open = true")
    for name, value in (("id", "team-a"), ("models", "gpt-*, other"), ("expires_in", "30d"), ("requests_per_minute", "7"), ("labels", "team=a")):
        _set(browser, f"#keys form [name={name}]", value)
    _picture(browser, "keys")
    _press(browser, "Issue")
    browser.until("!document.querySelector('#keys .issued').hidden")
    key = _text(browser, "#keys .issued code")
    who = page_world.send(path="/gateway/whoami", method="GET", headers=bearer(key)).json()
    assert (who["id"], who["models"], who["labels"], who["limits"]["requests_per_minute"]) == ("team-a", ["gpt-*", "other"], {"team": "a"}, 7)
    _press(browser, "Hide")
    assert key not in browser.run("document.documentElement.outerHTML")
    _press(browser, "Revoke team-a")
    browser.until("document.querySelector('#confirm').open")
    browser.press("Enter", 13)
    browser.until("document.querySelector('#status').textContent.includes('revoked: [{id: \"team-a\"')")
    assert page_world.send(path="/gateway/whoami", method="GET", headers=bearer(key)).status_code == 401
    _press(browser, "Restore team-a")
    browser.until("document.querySelector('#status').textContent === 'team-a is restored.'")
    assert page_world.send(path="/gateway/whoami", method="GET", headers=bearer(key)).status_code == 200
    browser.run("document.querySelector('#keys details').open = true")
    _set(browser, "#keys form [name=expires_in]", "9999d")
    _press(browser, "Issue")
    browser.until("document.querySelector('#problem').textContent.includes('expires_in')")
    _is_unharmed(browser, page_world)


def test_playground(page_world: World, browser: Browser) -> None:
    """A caller without an administrator's rights streams an answer; the page forgets the key when it signs out."""
    page_world.reset()
    _sign_in(browser, page_world, demo.USER_KEY, "playground")
    links = browser.run("[...document.querySelectorAll('nav a')].filter(each => each.checkVisibility()).map(each => each.hash)")
    assert links == ["#usage", "#limits", "#playground"]
    browser.until("document.querySelectorAll('#models option').length >= 2")
    assert HOSTILE in browser.run("[...document.querySelectorAll('#models option')].map(each => each.value)")
    _set(browser, "#play-model", "gpt-4o")
    browser.run("document.querySelector('#play-text').focus()")
    browser.type(f"Hello {HOSTILE}")
    browser.press("Enter", 13, modifiers=2)
    browser.until("/output tokens/.test(document.querySelector('.turns').innerText)")
    told = _text(browser, ".turns")
    assert HOSTILE in told and "first token after" in told and "cluster mock-" in told
    (sent,) = [entry["body"] for _, entry in page_world.entries()]
    assert sent["stream"] is True and sent["messages"] == [{"role": "user", "content": f"Hello {HOSTILE}"}]
    _picture(browser, "playground")
    _set(browser, "#play-model", "nothing")
    _set(browser, "#play-text", "Hello")
    _press(browser, "Send")
    browser.until("document.querySelector('#problem').textContent.startsWith('404')")
    stored = browser.run("JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href])")
    assert demo.USER_KEY not in stored
    _press(browser, "Sign out")
    browser.until("!document.querySelector('#sign-in').hidden")
    assert HOSTILE not in browser.run("document.body.innerText") and demo.USER_KEY not in browser.run("document.documentElement.outerHTML")
    _picture(browser, "sign-in")
    _is_unharmed(browser, page_world)


def test_wrong_key(page_world: World, browser: Browser) -> None:
    browser.open("about:blank")
    browser.open(page_world.url + PAGE)
    for key, told in (("sk-wrong", "401"), ("ключ", "A key has only ASCII characters.")):
        _set(browser, "#key", key)
        _press(browser, "Sign in")
        browser.until(f"document.querySelector('#problem').textContent.includes({json.dumps(told)})")
        assert browser.run("document.querySelector('nav').hidden")


def test_names_and_labels(page_world: World, browser: Browser) -> None:
    """Each field and button has a name for screen readers, each chart a description; nothing takes the focus out of order."""
    _sign_in(browser, page_world, demo.ADMIN_KEY, "clusters")
    for view in ("requests", "usage", "limits", "keys", "playground", "clusters"):
        _go(browser, view)
        unnamed = """[...document.querySelectorAll('main input, main select, main textarea, main button, main summary')]
            .filter(each => !(each.labels?.length || each.ariaLabel || each.textContent.trim())).map(each => each.outerHTML)"""
        assert browser.run(unnamed) == []
        browser.until(f"document.activeElement.id === '{view}-title'")
        assert browser.run("document.querySelectorAll('[tabindex]:not([tabindex=\"-1\"])').length") == 0
    _go(browser, "usage")
    described = "[...document.querySelectorAll('svg')].every(each => each.getAttribute('aria-label') || each.getAttribute('aria-hidden'))"
    assert browser.run(described)


def test_late_answers(page_world: World, browser: Browser) -> None:
    """What arrives after its reader has signed out is not shown."""
    _sign_in(browser, page_world, demo.ADMIN_KEY, "usage")
    browser.until("document.querySelectorAll('#usage svg').length === 4")
    browser.run("document.querySelector('#usage .refresh').click(); document.querySelector('#who button').click()")
    time.sleep(0.5)
    assert browser.run("document.querySelector('#usage .content').childElementCount") == 0
    assert browser.run("document.querySelector('#problem').textContent") == "" and not browser.complaints
