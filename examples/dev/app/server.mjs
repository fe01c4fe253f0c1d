// Serves what is in public/, with a greeting from config/; both may change while it runs.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import process from 'node:process'

const VERSION = 'version 1'
let greeting = readGreeting()

function readGreeting() {
  return JSON.parse(readFileSync('/app/config/greeting.json', 'utf8')).text
}

process.on('SIGTERM', () => process.exit(0))
process.on('SIGHUP', () => {
  greeting = readGreeting()
  process.stdout.write(`greeting is now "${greeting}"\n`)
})

createServer((_request, response) => {
  const page = readFileSync('/app/public/index.html', 'utf8')
  response.end(page.replace('{{greeting}}', greeting).replace('{{version}}', VERSION))
}).listen(8083, () => process.stdout.write(`${VERSION} listens\n`))
