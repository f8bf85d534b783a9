// One row of buttons below the blocks, a button for each type: one click adds a block, and the cursor is in it.
import { qs, qsa } from "content-editor/utils"

let justAdded = null

const FIELDS = `button[data-choose], input:not([type=hidden], [type=checkbox], [type=file]), textarea, select,
  .ProseMirror[contenteditable="true"]`

// The first field that can be seen; undressed rich text is a textarea, dressed rich text hides it.
const firstField = (row) => qsa(FIELDS, row).find((field) => field.offsetParent)

function focusInto(row) {
  firstField(row)?.focus({ preventScroll: true })
  row.scrollIntoView({ block: "nearest", behavior: "smooth" })
}

function buildBar(context) {
  const bar = document.createElement("div")
  bar.className = "add-bar"
  bar.setAttribute("role", "toolbar")
  bar.setAttribute("aria-label", "Add a block")
  for (const plugin of context.plugins) {
    const button = document.createElement("button")
    button.type = "button"
    button.dataset.add = plugin.prefix
    button.innerHTML = plugin.button
    qs(".material-icons", button)?.setAttribute("aria-hidden", "true") // its text is the name of a drawing
    button.append(plugin.title)
    button.addEventListener("click", () => {
      context._insertBefore = null
      context.addContent(plugin.prefix)
    })
    bar.append(button)
  }
  qs(".order-machine-wrapper").after(bar)
}

// A new block gets a name of its own: however often the form is sent, it is one block. Its number may change.
function name(row) {
  const token = qs("input[name$='-token']", row)
  if (token && !token.value) token.value = `+${Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("")}`
}

document.addEventListener("formset:added", (event) => name(event.target))

document.addEventListener("content-editor:ready", () => {
  const context = window.ContentEditor
  if (!context.allowChange) return
  buildBar(context)
  document.addEventListener("formset:added", (event) => {
    justAdded = event.target
    focusInto(justAdded)
  })
  // Rich text is dressed a moment later, and takes the cursor then.
  document.addEventListener("prose-editor:ready", (event) => {
    const { editor } = event.detail
    if (justAdded && firstField(justAdded) === editor.view.dom) editor.commands.focus()
  })
  // Whoever goes elsewhere meanwhile keeps the cursor there.
  document.addEventListener("focusin", (event) => {
    if (justAdded && !justAdded.contains(event.target)) justAdded = null
  })
  // A new page begins with a place to write.
  if (qs("[data-preview]")?.dataset.preview.endsWith("/add/preview") && !qs(".order-machine .inline-related:not(.empty-form)")) {
    context.addContent("richtext")
    justAdded = null
    qs("#id_title")?.focus()
  }
})
