// Where rich text is written has a name, for who hears the page; and its buttons are one stop of the Tab key, through which the
// arrows lead (the toolbar pattern of WAI-ARIA).
import { qs, qsa } from "content-editor/utils"

const BUTTON = ".prose-menubar__button:not(.hidden)"
const STEPS = { ArrowRight: 1, ArrowLeft: -1 }

function nameOf(area) {
  const label = qs("label", area.closest(".form-row"))?.textContent || qs("h3 b", area.closest(".inline-related")).textContent
  return label.trim().replace(/:$/, "")
}

function makeToolbar(bar, name) {
  bar.setAttribute("role", "toolbar")
  bar.setAttribute("aria-label", name)
  for (const [place, button] of qsa(BUTTON, bar).entries()) button.tabIndex = place ? -1 : 0
  bar.addEventListener("keydown", (event) => {
    const buttons = qsa(BUTTON, bar)
    const place = buttons.indexOf(document.activeElement)
    if (!STEPS[event.key] || place < 0) return
    event.preventDefault()
    const next = buttons[(place + STEPS[event.key] + buttons.length) % buttons.length]
    buttons[place].tabIndex = -1
    next.tabIndex = 0
    next.focus()
  })
}

function prepare(area) {
  const name = nameOf(area)
  area.setAttribute("aria-label", name)
  const bar = qs(".prose-menubar", area.closest(".prose-editor"))
  if (bar && !bar.role) makeToolbar(bar, `Format: ${name}`)
}

// Some are made before this is loaded, some after.
for (const area of qsa('.prose-editor > .ProseMirror[contenteditable="true"]')) prepare(area)
document.addEventListener("prose-editor:ready", (event) => prepare(event.detail.editor.view.dom))
