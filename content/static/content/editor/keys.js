// Ctrl+S saves, Ctrl+Shift+P publishes (Cmd on a Mac); whoever leaves with unsaved work is asked first. One save at a time, and none
// that would end on the browser's own page for a server that is not there: from that page nothing that was typed comes back.
import { qs } from "content-editor/utils"
import { encoding } from "./encoding.js"

const form = qs("#page_form")
let unsaved
mark(qs(".errornote") !== null) // a form that came back with mistakes was stored nowhere

function mark(value) {
  unsaved = value
  qs(".editor-unsaved").hidden = !value
}

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
  form.addEventListener(kind, () => mark(true))
}
const SILENCE = 5000 // milliseconds after which a server that says nothing is taken to be busy; the save waits longer
let isThere = false // whether it has just answered; for one save
let wanted // the button that was pressed last while it was asked
let asking = false

async function ask(button) {
  wanted = button
  if (asking) return
  asking = true
  form.setAttribute("aria-busy", "true")
  const options = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(SILENCE) }
  // Whatever it answers it is there, unless its proxy answers in its place.
  isThere = await fetch("/healthz", options).then(({ status }) => ![502, 503, 504].includes(status), ({ name }) => name === "TimeoutError")
  asking = false
  form.removeAttribute("aria-busy")
  qs(".editor-alone").hidden = isThere
  if (isThere) form.requestSubmit(wanted)
}

// The form counts how often it was sent, so that of two saves the later one wins; and while one is under way there is no other.
const PATIENCE = 60000 // milliseconds after which a save that was not answered is given up
let sent = 0 // when the save under way began
form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "_preview") return
  const isUnderWay = sent && Date.now() - sent < PATIENCE
  if (isUnderWay || !isThere) event.preventDefault()
  if (isUnderWay) return
  if (!isThere) {
    ask(event.submitter)
    return
  }
  isThere = false
  if (sent) form.elements.saves.value = Number(form.elements.saves.value) + 1
  sent = Date.now()
  mark(false)
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
