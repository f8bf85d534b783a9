// Ctrl+S saves, Ctrl+Shift+P publishes (Cmd on a Mac); whoever leaves with unsaved work is asked first.
import { qs } from "content-editor/utils"

const form = qs("#page_form")
let unsaved = qs(".errornote") !== null // a form that came back with mistakes was stored nowhere

window.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return
  const key = event.key.toLowerCase()
  const name = key === "s" && !event.shiftKey ? "_save" : key === "p" && event.shiftKey ? "_publish" : null
  if (!name) return
  event.preventDefault()
  const button = qs(`.editor-bar button[name=${name}]`)
  if (button) form.requestSubmit(button)
})

// The title may be long enough for two lines and stays one.
qs("#id_title")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault()
})

for (const kind of ["input", "change"]) {
  form.addEventListener(kind, () => {
    unsaved = true
  })
}
form.addEventListener("submit", (event) => {
  if (event.submitter?.name !== "_preview") unsaved = false
})
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault()
})
