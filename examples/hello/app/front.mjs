// The front: asks the stack's DNS for the replicas of api, and passes the request on to the first in its answer.
import { resolve4 } from 'node:dns/promises'
import { createServer, get } from 'node:http'

const server = createServer(async (request, response) => {
  try {
    const [address] = await resolve4('api')
    get({ host: address, port: 3000, path: request.url, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    }).on('error', (error) => fail(response, error))
  } catch (error) {
    fail(response, error)
  }
})

function fail(response, error) {
  response
    .writeHead(502, { 'content-type': 'text/plain' })
    .end(`no replica answers: ${error.message}\n`)
}

server.listen(8080, () => console.log('front listens on 8080'))
process.on('SIGTERM', () => process.exit(0))
