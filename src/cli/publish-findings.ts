/** What somebody may not mean to publish of a stack. Pure. */
import { looksSensitive } from '../planner/field-changes.ts'
import type { PackedFile } from '../sources/pack-stack.ts'
import type { Stack } from '../spec/stack.ts'

/** What private keys and the tokens of well-known services begin with. */
const SECRET =
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[opsur]_[A-Za-z0-9]{36}|\bgithub_pat_\w{60}|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10}|\bdckr_pat_[\w-]{20}|\bAGE-SECRET-KEY-1/

/** As the loader leaves it where environment files are not read. */
interface EnvironmentFile {
  readonly path: string
}

/** Services that have no image to be pulled by others. */
export function builtOnly({ services }: Stack): string[] {
  return Object.entries(services)
    .filter(([, { image, build }]) => (image ?? '') === '' && build !== undefined)
    .map(([name]) => name)
}

/** Declarations of directories of this host. */
export function bindMounts({ services }: Stack): string[] {
  return Object.entries(services).flatMap(([name, { volumes = [] }]) =>
    volumes.flatMap(({ type, source = '', target }) =>
      type === 'bind' ? [`service "${name}": ${source}:${target}`] : [],
    ),
  )
}

/** @param stack - as it is written: with its variables, and environment files unread */
export function environmentFindings({ services }: Stack): string[] {
  return Object.entries(services).flatMap(([name, service]) => {
    const { env_file: files = [] } = service as { readonly env_file?: readonly EnvironmentFile[] }
    const literals = Object.entries(service.environment ?? {}).filter(
      ([key, value]) =>
        looksSensitive(key) && (value ?? '') !== '' && value?.includes('$') === false,
    )
    return [
      ...files.map(({ path }) => `service "${name}": env_file declared: ${path}`),
      ...literals.map(([key]) => `service "${name}": literal value for "${key}"`),
    ]
  })
}

/** What others have to have themselves: what is read from files beside the stack files. */
export function unpublishedFiles({ configs, secrets }: Stack): string[] {
  return Object.entries({ config: configs, secret: secrets }).flatMap(([kind, definitions]) =>
    Object.entries(definitions).flatMap(([key, { file }]) =>
      file === undefined ? [] : [`the file of ${kind} "${key}" is not published`],
    ),
  )
}

/** Lines that look like a secret; the secret itself is not shown. */
export function secretLines(files: readonly PackedFile[]): string[] {
  return files.flatMap(({ name, bytes }) =>
    bytes
      .toString()
      .split('\n')
      .flatMap((line, index) => (SECRET.test(line) ? [`${name}:${String(index + 1)}`] : [])),
  )
}
