"""Who writes at replicas while they are killed, and remembers outside of them what was acknowledged.

A visitor keeps the receipt of each submission, an editor knows what the redirect after a save acknowledged, and the ORM writers
print what they have committed. Whoever got no answer asks again, as people do; nothing may then be there twice.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.cluster.harness import Replica
from tests.content.editing import add_block, form_of

PAGE_BLOCKS = 6  # texts on one page; with more of them its form would be what is measured
# One process of the ORM writes: a section, then its description again and again, now and then a file. A printed line is a commit.
WRITER = """
import hashlib, io, itertools, os, time
from content.models import Asset, Section
from sync import blobs
section = Section.objects.create(title=f"Section of {os.getpid()}")
print("section", section.token, flush=True)
for number in itertools.count():
    Section.objects.filter(token=section.token).update(description=f"text {number}")
    print("description", section.token, number, flush=True)
    if number % 5 == 0:
        digest, size = blobs.put(io.BytesIO(os.urandom(200_000)))
        asset = Asset.objects.create(title="File", filename="f.bin", digest=digest, size=size, content_type="application/x")
        print("asset", asset.token, digest, flush=True)
    time.sleep(0.02)
"""


class Witness:
    """What was acknowledged. ``strange`` are answers that nobody should get."""

    def __init__(self) -> None:
        self.receipts: dict[str, str] = {}  # idempotency key -> token
        self.pages: dict[str, list[str]] = {}  # token -> texts of its blocks that were saved
        self.titles: dict[str, list[str]] = {}  # token -> titles in order: the last that was saved, and what was tried since
        self.strange: list[str] = []
        self.stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def watch(self, work: Callable[[Replica], None], replica: Replica) -> None:
        """Let ``work`` be done at ``replica`` again and again, until ``stop``."""
        thread = threading.Thread(target=self._repeat, args=(work, replica), daemon=True)
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Let everybody finish, which takes a replica that answers."""
        self.stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "somebody waits for an answer that does not come"

    def _repeat(self, work: Callable[[Replica], None], replica: Replica) -> None:
        try:
            while not self.stop.wait(0.05):
                work(replica)
        except Exception as error:
            self.strange.append(f"{replica.name}: {work.__name__} gave up: {error!r}")

    def _until_answered(self, act: Callable[[], httpx2.Response]) -> httpx2.Response:
        """Ask until there is an answer at all."""
        while True:
            try:
                return act()
            except httpx2.TransportError:
                threading.Event().wait(0.02)

    # -- a visitor --------------------------------------------------------------------------------

    def send(self, replica: Replica) -> None:
        """Send a submission with a key of its own until a receipt has come."""
        key = uuid.uuid4().hex
        body = {"form": "contact", "data": {"text": key}, "idempotency_key": key}
        headers = {"x-forwarded-for": key}  # another visitor each time: one of them may send a few a minute
        address = f"{replica.base}/api/v1/submissions/"
        answer = self._until_answered(lambda: httpx2.post(address, json=body, headers=headers, timeout=60, trust_env=False))
        if answer.status_code in (200, 201):
            self.receipts[key] = answer.json()["token"]
        else:
            self.strange.append(f"{replica.name}: a submission was answered {answer.status_code}: {answer.text[:300]}")

    # -- an editor --------------------------------------------------------------------------------

    def editing(self, client: httpx2.Client, addresses: list[tuple[str, str]]) -> Callable[[Replica], None]:
        """Return the work of an editor logged in by ``client``, who alone writes on the pages at ``addresses`` (token, address)."""
        turns = iter([(place, number) for place in addresses for number in range(PAGE_BLOCKS)])

        def edit(replica: Replica) -> None:
            try:
                place, number = next(turns)
            except StopIteration:
                self.stop.wait()
                return
            self._save(client, *place, f"<p>Text {number} of {place[0]}.</p>", f"Title {number} of {place[0]}")

        return edit

    def _save(self, client: httpx2.Client, token: str, address: str, text: str, title: str) -> None:
        """Put a text and a title on a page; where no answer comes, look whether they are there, and if not do it again."""
        self.titles.setdefault(token, []).append(title)
        while True:
            try:
                form = form_of(client, address)  # type: ignore[arg-type]
                if text not in form.values():
                    add_block(form, "richtext", html=text)
                    answer = client.post(address, data=form | {"title": title, "_save": ""})
                    if answer.status_code != 302:
                        self.strange.append(f"{token}: a save was answered {answer.status_code}")
            except httpx2.TransportError:
                threading.Event().wait(0.02)
                continue
            self.pages.setdefault(token, []).append(text)
            self.titles[token] = self.titles[token][-1:]
            return


def committed(log: Path) -> list[list[str]]:
    """Return what a writer has acknowledged: the words of each whole line. One that was killed at once has written no log."""
    if not log.exists():
        return []
    lines = log.read_text().split("\n")[:-1]
    return [line.split() for line in lines if line.startswith(("section ", "description ", "asset "))]


def last_descriptions(lines: list[list[str]]) -> dict[str, int]:
    """Return the number of the last description that was acknowledged, by section; -1 where none was."""
    found = {words[1]: -1 for words in lines if words[0] == "section"}
    found.update((words[1], int(words[2])) for words in lines if words[0] == "description")
    return found
