// Answers with the greeting that was committed.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const greeting = readFileSync(new URL('greeting.txt', import.meta.url), 'utf8')

createServer((_request, response) => {
  response.end(greeting)
}).listen(8080)

process.on('SIGTERM', () => process.exit(0))
