// A notice about two versions stands below its field, not within the hint that describes the field to screen readers.
import { qsa } from "content-editor/utils"

for (const note of qsa("#page_form .help .conflict-note")) {
  const help = note.closest(".help")
  help.after(note)
  if (!help.textContent.trim()) help.remove()
  note.closest("details")?.setAttribute("open", "")
}
