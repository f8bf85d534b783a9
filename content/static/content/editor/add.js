// One row of buttons below the blocks, a button for each type: one click adds a block, and the cursor is in it.
import { qs } from "content-editor/utils"

let justAdded = null

function focusInto(row) {
  const prose = qs('.ProseMirror[contenteditable="true"]', row)
  const field = prose || qs("input:not([type=hidden]):not([type=checkbox]), textarea, select, button[data-choose]", row)
  field?.focus({ preventScroll: true })
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
    button.append(plugin.title)
    button.addEventListener("click", () => {
      context._insertBefore = null
      context.addContent(plugin.prefix)
    })
    bar.append(button)
  }
  qs(".order-machine-wrapper").after(bar)
}

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
    if (justAdded?.contains(event.target) && event.target === qs("textarea", justAdded)) {
      event.detail.editor.commands.focus()
    }
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
