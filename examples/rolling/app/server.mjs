// Says its version. When it is asked to stop it answers what it is asked, and closes each connection with its last answer.
import { createServer } from 'node:http'

const version = process.env.VERSION
let stopping = false

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.url === '/health') response.statusCode = version === 'bad' ? 500 : 200
  if (stopping) response.setHeader('Connection', 'close')
  response.end(`version ${version}\n`)
})
let connections = 0
server.on('connection', (socket) => {
  connections++
  socket.on('close', () => {
    connections--
    if (stopping && connections === 0) process.exit(0)
  })
})
server.listen(8080)

process.on('SIGTERM', () => {
  stopping = true
  if (connections === 0) process.exit(0)
  // Whoever is quiet for a second has nothing on its way.
  setTimeout(() => server.close(() => process.exit(0)), 1000)
})
