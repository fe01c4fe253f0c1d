import { TsstackError } from '../../errors.ts'
import type { Command } from '../command.ts'
import { oneContainer } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${String(port)}` : `${ip}:${String(port)}`
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE [PRIVATE_PORT]',
  summary: 'Print where a port of a service is published, or all of them',
  flags: [
    {
      name: 'protocol',
      kind: 'text',
      value: 'NAME',
      choices: ['tcp', 'udp', 'sctp'],
      help: 'tcp, udp or sctp (default: tcp)',
    },
    {
      name: 'index',
      kind: 'integer',
      value: 'N',
      help: 'Replica of the service (default: the first)',
    },
  ],
  examples: [['tsstack port front 80', '127.0.0.1:8080']],
  arguments: { min: 1, max: 2 },
  async run(context) {
    const { flags, positional, output } = context
    const [service = '', port] = positional
    if (port !== undefined && !/^\d{1,5}$/.test(port))
      throw new TsstackError('INVALID_ARGUMENT', `invalid port "${port}": expected a number`)
    const stack = await resolveStackName(context)
    const container = await oneContainer(await context.client(), stack, {
      service,
      index: flags.number('index'),
    })
    const protocol = flags.text('protocol') ?? (port === undefined ? undefined : 'tcp')
    const published = container.ports
      .filter(
        (candidate) =>
          candidate.published !== 0 && (port === undefined || candidate.target === Number(port)),
      )
      .filter((candidate) => protocol === undefined || candidate.protocol === protocol)
    const [first] = published
    if (port === undefined) {
      output.write(
        published
          .map(
            (found) =>
              `${String(found.target)}/${found.protocol} -> ${hostPort(found.hostIp, found.published)}\n`,
          )
          .join(''),
      )
      return 0
    }
    if (first === undefined) {
      throw new TsstackError(
        'NOT_FOUND',
        `no port ${port}/${protocol ?? 'tcp'} for container ${container.name}`,
        {
          hint: 'publish it under "ports:" in the stack file',
        },
      )
    }
    output.line(hostPort(first.hostIp, first.published))
    return 0
  },
}
