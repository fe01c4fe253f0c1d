// One replica of the api: says who it is.
import { createServer } from 'node:http'
import { hostname } from 'node:os'

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' })
  if (request.url === '/health') response.end('ok\n')
  else response.end(`hello from replica ${hostname()}\n`)
})

server.listen(3000, () => console.log(`replica ${hostname()} listens on 3000`))
process.on('SIGTERM', () => process.exit(0))
