// How a form is sent. A server takes long to take apart hundreds of fields that are parts of their own, as files need it; without
// files there is a shorter way. The server bounds how long that may be, and what is not ASCII is three times as long in it.
export const SHORT = "application/x-www-form-urlencoded"
const ENOUGH = 300000 // characters that are sent the short way

export function encoding(form) {
  let length = 0
  for (const [name, value] of new FormData(form)) {
    if (value instanceof File ? value.size : (length += name.length + value.length) > ENOUGH) return "multipart/form-data"
  }
  return SHORT
}
