// Ctrl+S saves, Ctrl+Shift+P publishes (Cmd on a Mac); whoever leaves with unsaved work is asked first. One save at a time.
import { qs } from "content-editor/utils"
import { encoding } from "./encoding.js"

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
// The form counts how often it was sent, so that of two saves the later one wins; and while one is under way there is no other.
const PATIENCE = 60000 // milliseconds after which a save that was not answered is given up
let sent = 0 // when the save under way began
form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "_preview") return
  if (sent && Date.now() - sent < PATIENCE) {
    event.preventDefault()
    return
  }
  if (sent) form.elements.saves.value = Number(form.elements.saves.value) + 1
  sent = Date.now()
  unsaved = false
  form.enctype = encoding(form)
  form.setAttribute("aria-busy", "true")
})
// Back from the answer: this is still the form that was sent, and what it sends next is later.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted || !sent) return
  form.elements.saves.value = Number(form.elements.saves.value) + 1
  sent = 0
  form.removeAttribute("aria-busy")
})
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault()
})
