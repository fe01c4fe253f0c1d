/** What `tsstack gitops add` may be told, and the source that it declares. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { GitSource, ImageUpdates } from '../api/gitops-types.ts'
import { TsstackError } from '../errors.ts'
import type { Flag } from './args.ts'
import type { CommandContext } from './command.ts'

const INTERVAL_S = 60
const FETCH_TIMEOUT_S = 120
const HEALTH_TIMEOUT_S = 300
const MONITOR_S = 5
const IMAGE_INTERVAL_S = 300
const COMMIT_AUTHOR = 'tsstack <tsstack@localhost>'
const COMMIT_MESSAGE = 'Update images of {stack}'

const text = (name: string, value: string, help: string): Flag => ({
  ...{ name, value, help },
  kind: 'text',
})
const list = (name: string, value: string, help: string): Flag => ({
  ...{ name, value, help },
  kind: 'list',
})
const seconds = (name: string, help: string): Flag => ({
  ...{ name, help },
  kind: 'seconds',
  value: 'DURATION',
})
const bool = (name: string, help: string): Flag => ({ name, help, kind: 'bool' })

export const ADD_FLAGS: readonly Flag[] = [
  text('repo', 'URL', 'https://….git, ssh://…, git@host:…, file:///…'),
  text('ref', 'REF', 'A branch, a tag or a whole commit; default HEAD'),
  text('path', 'PATH', 'Directory or YAML file in the repository'),
  bool('sparse', 'Fetch only what --path and --sparse-path name'),
  list('sparse-path', 'PATH', 'A further directory'),
  text('project', 'NAME', 'Name of the stack; default: of the source'),
  seconds('interval', 'Between looks at the repository; default 60s'),
  seconds('fetch-timeout', 'Of one git command; default 2m'),
  seconds('health-timeout', 'Until all is ready; default 5m'),
  seconds('monitor', 'How long it must then stay so; default 5s'),
  bool('prune', 'Remove services that have left the file'),
  bool('allow-empty', 'A commit may remove every service'),
  list('depends-on', 'NAME', 'Another source that must be ready first'),
  {
    ...{ name: 'approve', kind: 'text', value: 'MODE', choices: ['auto', 'manual'] },
    help: 'manual: changes wait for "gitops approve"',
  },
  list('window', 'WINDOW', 'Changes only then: "0 2 * * * 3h"'),
  list('freeze', 'WINDOW', 'No changes then'),
  list('verify-key', 'FILE', 'Only commits or tags signed by this key'),
  text('webhook-secret', 'SECRET', 'For webhooks of GitHub, GitLab, Gitea; @FILE reads it'),
  list('notify', 'URL', 'Told of outcomes, as JSON'),
  text('ssh-key', 'FILE', 'Private key for ssh'),
  text('known-hosts', 'FILE', 'Keys of ssh servers'),
  text('password-file', 'FILE', 'user:password or a token, for https'),
  text('age-identity', 'FILE', 'Decrypts files that age or SOPS encrypted'),
  bool('image-updates', 'Write newer images of image_policy into the repository'),
  seconds('image-interval', 'Between looks at the registries; default 5m'),
  text('push-branch', 'NAME', 'Write to this branch instead'),
  text('push-repo', 'URL', 'Write by this URL'),
  text('push-ssh-key', 'FILE', 'Private key for writing'),
  text('push-password-file', 'FILE', 'user:password or a token, for writing'),
  text('commit-author', 'AUTHOR', '"NAME <EMAIL>" of commits'),
  text('commit-message', 'TEXT', 'First line; {source}, {stack}, {changes}'),
  text('sign-key', 'FILE', 'Private key that signs commits'),
  bool('allow-privileged', 'privileged, security_opt, cgroup_parent'),
  bool('allow-host-namespaces', 'network_mode: host, pid: host, …'),
  list('allow-host-paths', 'PATH', 'Mounts and files of the host below it'),
  list('allow-capabilities', 'NAME', 'cap_add beyond the default set'),
  list('allow-devices', 'PATH', 'devices; "gpus"'),
  list('allow-external', 'NAME', 'A volume, network or container name of others'),
  list('allow-ports', 'PORT', 'Published ports below 1024: 80, or 80-90'),
]

/** The names of the flags, as a subcommand lists them. */
export const ADD_FLAG_NAMES = ADD_FLAGS.map(({ name }) => name)

/** @throws {INVALID_ARGUMENT} no --repo; {NOT_FOUND} a file that can't be read */
export function readGitSource(context: CommandContext, name: string): GitSource {
  const { flags, global, cwd } = context
  const file = (path: string): string => resolve(cwd, path)
  const fileOf = (flag: string): string | undefined => {
    const path = flags.text(flag)
    return path === undefined ? undefined : file(path)
  }
  return {
    ...{ name, repo: requiredRepo(context), path: flags.text('path')?.replace(/^\.\//, '') ?? '' },
    stack: flags.text('project') ?? global.projectName ?? name,
    intervalSeconds: flags.number('interval') ?? INTERVAL_S,
    fetchTimeoutSeconds: flags.number('fetch-timeout') ?? FETCH_TIMEOUT_S,
    healthTimeoutSeconds: flags.number('health-timeout') ?? HEALTH_TIMEOUT_S,
    monitorSeconds: flags.number('monitor') ?? MONITOR_S,
    prune: flags.bool('prune'),
    allowEmpty: flags.bool('allow-empty'),
    envFiles: global.envFiles.map(file),
    profiles: global.profiles,
    ...sparseOf(context),
    dependsOn: flags.list('depends-on'),
    approve: flags.text('approve') === 'manual' ? 'manual' : 'auto',
    windows: flags.list('window'),
    freezes: flags.list('freeze'),
    verifyKeys: flags.list('verify-key').map((path) => readText(file(path))),
    notify: flags.list('notify'),
    allow: {
      privileged: flags.bool('allow-privileged'),
      hostNamespaces: flags.bool('allow-host-namespaces'),
      hostPaths: flags.list('allow-host-paths').map(file),
      capabilities: flags.list('allow-capabilities').map(capabilityName),
      devices: flags.list('allow-devices'),
      external: flags.list('allow-external'),
      ports: flags.list('allow-ports'),
    },
    ...present({
      ref: flags.text('ref'),
      webhookSecret: secretOf(flags.text('webhook-secret'), cwd),
      sshKeyFile: fileOf('ssh-key'),
      knownHostsFile: fileOf('known-hosts'),
      passwordFile: fileOf('password-file'),
      ageIdentityFile: fileOf('age-identity'),
    }),
    ...(writesImages(context) ? { imageUpdates: readImageUpdates(context) } : {}),
  }
}

const IMAGE_FLAGS = [
  ...['image-interval', 'push-branch', 'push-repo', 'push-ssh-key', 'push-password-file'],
  ...['commit-author', 'commit-message', 'sign-key'],
] as const

/** @throws {INVALID_ARGUMENT} how it writes is said, and not that it may */
function writesImages({ flags }: CommandContext): boolean {
  if (flags.bool('image-updates')) return true
  const given = IMAGE_FLAGS.find((name) =>
    name === 'image-interval' ? flags.number(name) !== undefined : flags.text(name) !== undefined,
  )
  if (given === undefined) return false
  throw new TsstackError('INVALID_ARGUMENT', `"--${given}" needs --image-updates`, {
    hint: 'Only with it is anything written to the repository',
  })
}

function readImageUpdates({ flags, cwd }: CommandContext): ImageUpdates {
  const fileOf = (flag: string): string | undefined => {
    const path = flags.text(flag)
    return path === undefined ? undefined : resolve(cwd, path)
  }
  return {
    intervalSeconds: flags.number('image-interval') ?? IMAGE_INTERVAL_S,
    author: flags.text('commit-author') ?? COMMIT_AUTHOR,
    message: flags.text('commit-message') ?? COMMIT_MESSAGE,
    ...present({
      branch: flags.text('push-branch'),
      repo: flags.text('push-repo'),
      sshKeyFile: fileOf('push-ssh-key'),
      passwordFile: fileOf('push-password-file'),
      signKeyFile: fileOf('sign-key'),
    }),
  }
}

/** A list of paths is enough to mean it. */
function sparseOf({ flags }: CommandContext): Pick<GitSource, 'sparse'> {
  const paths = flags.list('sparse-path').map((path) => path.replace(/^\.\/|\/+$/g, ''))
  return flags.bool('sparse') || paths.length > 0 ? { sparse: paths } : {}
}

function requiredRepo({ flags }: CommandContext): string {
  const repo = flags.text('repo')
  if (repo !== undefined) return repo
  throw new TsstackError('INVALID_ARGUMENT', '"tsstack gitops add" needs --repo', {
    hint: 'tsstack gitops add NAME --repo https://example.com/shop.git --path deploy',
  })
}

function capabilityName(text: string): string {
  return text.toUpperCase().replace(/^CAP_/, '')
}

/** `@FILE` keeps it out of the list of processes and of the shell's history. */
function secretOf(given: string | undefined, cwd: string): string | undefined {
  return given?.startsWith('@') === true ? readText(resolve(cwd, given.slice(1))).trim() : given
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new TsstackError('NOT_FOUND', `Cannot read "${path}"`, { cause: error })
  }
}

/** Without what was not given. */
function present(members: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members).filter((pair): pair is [string, string] => pair[1] !== undefined),
  )
}
