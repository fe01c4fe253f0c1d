/**
 * The credentials in Docker's `config.json`
 * (https://docs.docker.com/reference/cli/docker/login/#credential-stores):
 *
 *   auths        server -> { auth: base64 of user:password } or { identitytoken }
 *   credHelpers  server -> helper
 *   credsStore   the helper of all others
 *
 * What else is in it is kept as it is. docker.io goes by a URL of its own.
 */
import { eraseFromHelper, getFromHelper, storeInHelper } from './credential-helper.ts'
import type { Credentials, CredentialsByRegistry } from './credentials.ts'
import { readConfig, writeConfig } from './docker-config-file.ts'
import type { Environment, Json } from './docker-config-file.ts'

const HUB_SERVER = 'https://index.docker.io/v1/'

/** Under which a registry is filed. */
function serverOf(registry: string): string {
  return registry === 'docker.io' ? HUB_SERVER : registry
}

function section(document: Json, name: string): Json {
  const value = document[name]
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function helperOf(document: Json, server: string): string | undefined {
  const own = section(document, 'credHelpers')[server]
  const common = document['credsStore']
  if (typeof own === 'string' && own !== '') return own
  return typeof common === 'string' && common !== '' ? common : undefined
}

function hostOf(server: string): string {
  return server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
}

/** The names of a server in any of the spellings that Docker has used. */
function spellingsOf(auths: Json, server: string): string[] {
  const others = Object.keys(auths).filter((name) => hostOf(name) === hostOf(server))
  return Object.hasOwn(auths, server) ? [...new Set([server, ...others])] : others
}

function entryOf(document: Json, server: string): Json | undefined {
  const auths = section(document, 'auths')
  const [key] = spellingsOf(auths, server)
  return key === undefined ? undefined : section(auths, key)
}

function credentialsIn(entry: Json): Credentials | undefined {
  const { auth, username, password, identitytoken } = entry
  if (typeof identitytoken === 'string' && identitytoken !== '')
    return { identityToken: identitytoken }
  if (typeof auth === 'string' && auth !== '') {
    const text = Buffer.from(auth, 'base64').toString('utf8')
    const colon = text.indexOf(':')
    if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) }
  }
  const isPlain = typeof username === 'string' && typeof password === 'string' && username !== ''
  return isPlain ? { username, password } : undefined
}

/**
 * Credentials for registries, those without any left out.
 * @throws {INVALID_ARGUMENT} the file is damaged; {FAILED_PRECONDITION} a helper is missing or fails
 */
export async function findCredentials(
  env: Environment,
  registries: readonly string[],
): Promise<CredentialsByRegistry> {
  if (registries.length === 0) return {}
  const { document } = readConfig(env)
  const find = async (registry: string): Promise<Credentials | undefined> => {
    const server = serverOf(registry)
    const helper = helperOf(document, server)
    if (helper !== undefined) return getFromHelper(helper, server)
    const entry = entryOf(document, server)
    return entry === undefined ? undefined : credentialsIn(entry)
  }
  const pairs = await Promise.all(
    [...new Set(registries)].map(async (registry) => {
      const found = await find(registry)
      return found === undefined ? [] : [[registry, found] as const]
    }),
  )
  return Object.fromEntries(pairs.flat())
}

/** Registries that the file names: what a user is logged in to, as far as it can be told. @throws {INVALID_ARGUMENT} */
export function knownRegistries(env: Environment): string[] {
  const { document } = readConfig(env)
  const names = ['auths', 'credHelpers'].flatMap((key) => Object.keys(section(document, key)))
  return names.map((server) => (server.includes('index.docker.io') ? 'docker.io' : server))
}

/**
 * Keeps credentials: with the helper, where one is set up, else in the file itself.
 * @returns the helper's name, or the file
 */
export async function storeCredentials(
  env: Environment,
  registry: string,
  credentials: Credentials,
): Promise<{ readonly helper?: string; readonly file: string }> {
  const config = readConfig(env)
  const { file, document } = config
  const server = serverOf(registry)
  const helper = helperOf(document, server)
  if (helper !== undefined) await storeInHelper(helper, server, credentials)
  const entry =
    helper !== undefined
      ? {}
      : 'identityToken' in credentials
        ? { identitytoken: credentials.identityToken }
        : {
            auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64'),
          }
  const auths = { ...section(document, 'auths'), [server]: entry }
  writeConfig({ file, document: { ...document, auths } })
  return { file, ...(helper === undefined ? {} : { helper }) }
}

/** @returns whether there were any */
export async function eraseCredentials(env: Environment, registry: string): Promise<boolean> {
  const { file, document } = readConfig(env)
  const server = serverOf(registry)
  const helper = helperOf(document, server)
  if (helper !== undefined) await eraseFromHelper(helper, server)
  const auths = section(document, 'auths')
  const known = spellingsOf(auths, server)
  if (known.length === 0) return false
  const rest = Object.entries(auths).filter(([name]) => !known.includes(name))
  writeConfig({ file, document: { ...document, auths: Object.fromEntries(rest) } })
  return true
}
