// Choosing a picture that is here already.
import { debounce, qs } from "content-editor/utils"

const dialog = qs("dialog.chooser")
const search = qs("input[type=search]", dialog)
const pictures = qs(".pictures", dialog)
const more = qs(".more", dialog)
let target = null
let next = 1
let turn = 0

async function load(page) {
  const mine = ++turn
  const query = new URLSearchParams({ q: search.value, p: page })
  const response = await fetch(`${dialog.dataset.address}?${query}`)
  if (!response.ok || mine !== turn) return
  const found = await response.json()
  if (page === 1) pictures.replaceChildren()
  for (const picture of found.pictures) pictures.append(card(picture))
  if (!pictures.children.length) pictures.textContent = "No picture found."
  next = found.next
  more.hidden = !next
}

function card(picture) {
  const button = document.createElement("button")
  button.type = "button"
  const image = document.createElement("img")
  image.src = picture.url
  image.alt = picture.alt
  image.loading = "lazy"
  button.append(image, picture.title)
  button.addEventListener("click", () => {
    show(target, picture)
    dialog.close()
  })
  return button
}

function show(chooser, picture) {
  const input = qs("input[type=hidden]", chooser)
  const image = qs("img", chooser)
  input.value = picture?.token ?? ""
  image.hidden = !picture
  if (picture) image.src = picture.url
  image.alt = picture?.title ?? ""
  qs(".name", chooser).textContent = picture?.title ?? ""
  chooser.toggleAttribute("data-empty", !picture)
  const alt = qs("input[name$='-alt']", chooser.closest(".inline-related") ?? chooser)
  if (alt && picture && !alt.value) alt.value = picture.alt
  input.dispatchEvent(new Event("change", { bubbles: true }))
}

document.addEventListener("click", (event) => {
  const chooser = event.target.closest?.(".asset-chooser")
  if (!chooser) return
  if (event.target.closest("[data-clear]")) show(chooser, null)
  if (!event.target.closest("[data-choose]")) return
  target = chooser
  search.value = ""
  load(1)
  dialog.showModal()
})
search.addEventListener("input", debounce(() => load(1), 250))
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault()
})
more.addEventListener("click", () => load(next))

// A chosen file shows at once, before it is uploaded.
document.addEventListener("change", (event) => {
  const upload = event.target
  if (upload.type !== "file" || !upload.files.length) return
  const fieldset = upload.closest("fieldset")
  const chooser = fieldset && qs(".asset-chooser", fieldset)
  if (!chooser) return
  const image = qs("img", chooser)
  const reader = new FileReader() // as data:, which the content security policy allows
  reader.addEventListener("load", () => {
    image.src = reader.result
    image.hidden = false
    chooser.removeAttribute("data-empty")
  })
  reader.readAsDataURL(upload.files[0])
  qs(".name", chooser).textContent = upload.files[0].name
})
