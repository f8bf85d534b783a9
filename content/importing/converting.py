"""One file to one page: reads it, within bounds, and says all that the page will be. Writes nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from content.blocks import clean_html, text_of
from content.importing import frontmatter, liquid, markdown, splitting, tree
from content.importing.frontmatter import DATED_NAME, Matter
from content.importing.images import ImageError, Library, Picture
from content.importing.report import Drops, PageError, shorten
from content.importing.sources import Site, name_of
from content.importing.splitting import Draft

MAX_FILE = 512 * 1024  # bytes of one Markdown file: some 80,000 words
MAX_SOURCE = 300  # characters of its path within the site


@dataclass(slots=True)
class Converted:
    """A page as a file describes it. ``digest`` covers the file and the images that it shows."""

    source: str
    matter: Matter
    section: str
    drafts: list[Draft]
    pictures: dict[str, Picture]
    missing: dict[str, str]
    redirects: list[str]
    digest: str
    lines: dict[str, int] = field(default_factory=dict)  # where each image is named
    drops: Drops = field(default_factory=Drops)


def convert(file: Path, site: Site, library: Library, default_section: str) -> Converted:
    """Read ``file`` of ``site``. Raises PageError with line and reason where it cannot become a page."""
    source = site.source(file)
    if len(source) > MAX_SOURCE:
        raise PageError(1, f"the path of the file is longer than {MAX_SOURCE} characters; shorten its name")
    content = read(file, site)
    drops = Drops()
    front, body, first_line = frontmatter.split(decode(content))
    matter = frontmatter.parse(front, name_of(file), drops)
    expanded = liquid.expand(body, first_line, matter.raw, drops)
    drafts = splitting.split(tree.parse(markdown.to_html(expanded, drops), drops), drops)
    page = Converted(source, matter, "", drafts, {}, {}, former_addresses(file, site, matter), "", drops=drops)
    page.lines = {draft.source: draft.line for draft in reversed(drafts) if draft.source}
    page.section = matter.section or site.section(file) or default_section
    _find_images(page, file, library)
    page.digest = _digest(content, page)
    return page


def read(file: Path, site: Site) -> bytes:
    """Return the content of ``file``, unless it is too large or a link that leads out of the site."""
    if not file.resolve().is_relative_to(site.root):
        raise PageError(1, "the file is a link that leads out of the site")
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise PageError(1, f"the file cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE:
        raise PageError(1, f"the file is larger than {MAX_FILE >> 10} KB; part it into several pages")
    return content


def decode(content: bytes) -> str:
    """Return ``content`` as text with plain line ends. Raises PageError on the line that is not UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PageError(line, f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        raise PageError(text.count("\n", 0, text.index("\0")) + 1, "the file holds a zero byte and so is not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def former_addresses(file: Path, site: Site, matter: Matter) -> list[str]:
    """Return the paths at which the former site showed the page, without repetition: each begins with a slash, ends without."""
    name = name_of(file)
    dated = DATED_NAME.fullmatch(name)
    slug = matter.slug or (dated[4] if dated else name)
    days = [f"{dated[1]}/{int(dated[2]):02}/{int(dated[3]):02}"] if dated else []
    days += [f"{matter.date:%Y/%m/%d}"] if dated and matter.date else []
    folder = file.relative_to(site.pages).parent.parts[: -1 if file.stem == "index" else None]
    paths = [_permalink(matter, slug), *matter.redirects, *(f"/{day}/{slug}" for day in days)]
    if not dated and site.pages.name == "content":
        paths.append("/" + "/".join([*folder, slug]))
    normal = [path for path in (_path(path) for path in paths) if path]
    return list(dict.fromkeys(normal))


def _permalink(matter: Matter, slug: str) -> str:
    """Return the permalink, its places filled in; empty where it is computed by a template."""
    permalink = matter.permalink
    if matter.date:
        for place, value in (("year", "%Y"), ("month", "%m"), ("day", "%d")):
            permalink = permalink.replace(f":{place}", matter.date.strftime(value))
    permalink = re.sub(r":(title|slug|filename)\b", lambda match: slug, permalink)
    return "" if "{{" in permalink or re.search(r"/:\w", permalink) else permalink


def _path(address: str) -> str:
    """Return the path of an address in the form of a redirect; empty where it is the home page or too long."""
    try:
        path = "/" + unquote(urlsplit(address).path).strip("/").removesuffix("index.html").rstrip("/")
    except ValueError:
        return ""
    return path if 1 < len(path) <= 500 and "\0" not in path else ""


def _find_images(page: Converted, file: Path, library: Library) -> None:
    """Look up every image of the page. A block whose image is not there gives way to its caption and, elsewhere, to a link."""
    kept: list[Draft] = []
    for draft in page.drafts:
        if draft.type != "image" or _found(page, draft.source, file, library):
            kept.append(draft)
        elif markup := _instead(draft):
            kept.append(Draft("richtext", {"html": markup}))
    page.drafts = splitting.joined(kept)
    matter = page.matter
    if matter.image and _found(page, matter.image, file, library) and matter.image_caption:
        shown = {page.pictures[draft.source].digest for draft in page.drafts if draft.source}
        if page.pictures[matter.image].digest not in shown:
            data = {"alt": matter.image_alt, "caption": clean_html(matter.image_caption)}
            page.drafts.insert(0, Draft("image", data, matter.image))


def _found(page: Converted, source: str, file: Path, library: Library) -> bool:
    if source not in page.pictures and source not in page.missing:
        try:
            page.pictures[source] = library.find(source, file)
        except ImageError as error:
            page.missing[source] = str(error)
        except ValueError:  # no address at all, such as http://[
            page.missing[source] = "the address is not one"
    return source in page.pictures


def _instead(draft: Draft) -> str:
    """Return what stands in the place of an image that is not there: a link to it elsewhere, or its text; and its caption."""
    alt, caption = draft.data.get("alt", ""), draft.data.get("caption", "")
    caption = caption if caption.startswith("<p>") else f"<p>{caption}</p>" if caption else ""
    if draft.source.startswith(("https://", "http://")):
        name = alt or "Image: " + shorten(draft.source.split("?")[0], 80)
        return clean_html(f'<p><a href="{_escaped(draft.source)}">{_escaped(name)}</a></p>{caption}')
    return clean_html((f"<p><em>{_escaped(alt)}</em></p>" if alt and alt != text_of(caption) else "") + caption)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _digest(content: bytes, page: Converted) -> str:
    """Return the SHA-256 of the file and of the images that it names, so that an image that came later is noticed."""
    digest = hashlib.sha256(content)
    for source in sorted([*page.pictures, *page.missing]):
        picture = page.pictures.get(source)
        digest.update(f"\0{source}\0{picture.digest if picture else ''}".encode())
    return digest.hexdigest()
