// A stack as a program: the types of the stack file, in an editor that knows TypeScript.
//
//   ./tsstack -f examples/library/stack.ts config
import { defineStack, type ServiceDefinition } from 'tsstack'

/** What every service here has in common. */
function nodeService(script: string): ServiceDefinition {
  return {
    image: 'host:node',
    command: ['node', '-e', script],
    stop_grace_period: '1s',
    deploy: { resources: { limits: { memory: '256M' } } },
  }
}

const GREETER = `
  require('node:http')
    .createServer((request, response) => response.end('hello ' + process.env.WHOM + '\\n'))
    .listen(3000)
`

export default defineStack({
  name: 'greeting',
  services: {
    greeter: {
      ...nodeService(GREETER),
      environment: { WHOM: '${WHOM:-world}' },
      // A free port of this host: several runs do not meet.
      ports: ['127.0.0.1::3000'],
      'x-tsstack': { probe: { tcp: 3000 } },
    },
  },
})
