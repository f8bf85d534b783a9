// Pulls once for each line on standard input and says how long it took: node receive.js FOLDER URL BATCH
const readline = require('readline')
const PouchDB = require('pouchdb-node')

const [folder, url, batch] = process.argv.slice(2)
const local = new PouchDB(folder + '/records')
const remote = new PouchDB(url + '/records')

async function main () {
  await Promise.all([local.info(), remote.info()])
  console.log('ready')
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    const began = process.hrtime.bigint()
    const found = await local.replicate.from(remote, { batch_size: Number(batch) })
    const seconds = Number(process.hrtime.bigint() - began) / 1e9
    const { doc_count: held } = await local.info()
    console.log(JSON.stringify({ seconds, held, changed: found.docs_written }))
  }
}

main().then(() => process.exit(0), error => { console.error(error); process.exit(1) })
