import { readFileSync } from 'node:fs'
import { TsstackError } from '../../errors.ts'
import { eraseCredentials, storeCredentials } from '../../registry/docker-config.ts'
import type { Command, CommandContext } from '../command.ts'
import { askOnTerminal } from '../ask-on-terminal.ts'
import { DRY_RUN_PREFIX } from '../progress-view.ts'

const HUB = 'docker.io'

/** `https://index.docker.io/v1/`, `https://host:5000/` and `host:5000` name what images name. */
function registryOf(word: string | undefined): string {
  const host = (word ?? HUB).replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return ['index.docker.io', 'registry-1.docker.io', ''].includes(host) ? HUB : host
}

async function readPassword({ flags }: CommandContext): Promise<string> {
  if (flags.bool('password-stdin')) return readFileSync(0, 'utf8').replace(/\r?\n$/, '')
  return flags.text('password') ?? (await askOnTerminal('Password: ', { isSecret: true }))
}

async function run(context: CommandContext): Promise<number> {
  const { flags, positional, output, env } = context
  const registry = registryOf(positional[0])
  if (flags.bool('password-stdin') && flags.has('password'))
    throw new TsstackError('INVALID_ARGUMENT', '--password and --password-stdin are incompatible')
  if (flags.bool('password-stdin') && !flags.has('username'))
    throw new TsstackError('INVALID_ARGUMENT', '--password-stdin needs --username')
  if (flags.has('password'))
    output.note('warning: --password can be seen by other users of this host; use --password-stdin')
  const username = flags.text('username') ?? (await askOnTerminal('Username: '))
  const credentials = { username, password: await readPassword(context) }
  if (username === '' || credentials.password === '')
    throw new TsstackError('INVALID_ARGUMENT', 'Cannot log in: user and password must not be empty')
  const client = await context.client()
  const { identityToken } = await client.login({ registry, credentials })
  const kept = identityToken === undefined ? credentials : { identityToken }
  const { helper, file } = await storeCredentials(env, registry, kept)
  if (helper === undefined && identityToken === undefined)
    output.note(
      `warning: the password is kept in "${file}", readable by you alone; a credential helper would keep it better`,
    )
  output.line('Login Succeeded')
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [REGISTRY]',
  summary: 'Log in to a registry',
  details:
    "Docker's config.json keeps it (DOCKER_CONFIG, else ~/.docker), or the credential helper that stands there. Without a registry: docker.io.",
  flags: [
    {
      name: 'username',
      short: 'u',
      kind: 'text',
      value: 'NAME',
      help: 'User; asked for if absent',
    },
    {
      name: 'password',
      short: 'p',
      kind: 'text',
      value: 'PASSWORD',
      help: 'Better not: others can see it',
    },
    { name: 'password-stdin', kind: 'bool', help: 'Read the password from standard input' },
  ],
  examples: [
    ['tsstack login -u anna --password-stdin registry.example < password', 'Without a question'],
  ],
  arguments: { min: 0, max: 1 },
  run,
}

export const logout: Command = {
  usage: '[REGISTRY]',
  summary: 'Log out from a registry',
  flags: [],
  examples: [['tsstack logout registry.example', 'Forget what "tsstack login" has kept']],
  arguments: { min: 0, max: 1 },
  async run({ positional, output, env, global }) {
    const registry = registryOf(positional[0])
    if (global.dryRun) {
      output.line(`${DRY_RUN_PREFIX}Removing login credentials for ${registry}`)
      return 0
    }
    const had = await eraseCredentials(env, registry)
    output.line(had ? `Removing login credentials for ${registry}` : `Not logged in to ${registry}`)
    return 0
  },
}
