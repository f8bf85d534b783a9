// The records in PouchDB on leveldb, served by express-pouchdb: node server.js FOLDER PORT RECORDS
// Change: POST /_bench/change?count=100 writes another text into the first documents.
const fs = require('fs')
const readline = require('readline')
const express = require('express')
const PouchDB = require('pouchdb-node')

const [folder, port, records] = process.argv.slice(2)
const Local = PouchDB.defaults({ prefix: folder + '/' })
const db = new Local('records')

async function fill () {
  let batch = []
  const lines = readline.createInterface({ input: fs.createReadStream(records) })
  for await (const line of lines) {
    const { token, ...record } = JSON.parse(line)
    batch.push({ _id: token, ...record })
    if (batch.length === 1000) { await db.bulkDocs(batch); batch = [] }
  }
  await db.bulkDocs(batch)
}

async function change (count) {
  const { docs } = await db.allDocs({ include_docs: true, limit: count }).then(found => ({ docs: found.rows.map(row => row.doc) }))
  for (const doc of docs) await db.put({ ...doc, description: doc.description.split('').reverse().join('') })
  return docs.length
}

const app = express()
app.post('/_bench/change', (request, response, next) => {
  change(Number(request.query.count)).then(count => response.json({ changed: count }), next)
})
app.use('/', require('express-pouchdb')(Local, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: folder + '/log.txt' }))
fill().then(() => app.listen(Number(port), '127.0.0.1', () => console.log('ready')))
