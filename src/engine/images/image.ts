/**
 * Image: what the engine needs to know of an image to run a container of it, and its translation from and to the OCI
 * image configuration (https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md), which is the Docker one
 * with the names that both share. Pure: no I/O here.
 */
import { createHash } from 'node:crypto'
import { TsstackError } from '../../errors.ts'

/** `sha256:` and 64 lower-case hex digits. */
export type Digest = string

/** HEALTHCHECK of an image; durations in nanoseconds, 0 or absent means inherit the default. */
export interface ImageHealthcheck {
  /** `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`. */
  readonly test: readonly string[]
  readonly interval?: number
  readonly timeout?: number
  readonly startPeriod?: number
  readonly startInterval?: number
  readonly retries?: number
}

export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint?: readonly string[]
  readonly cmd?: readonly string[]
  readonly workingDir?: string
  /** `user[:group]`, names or ids. */
  readonly user?: string
  /** `80/tcp`. */
  readonly exposedPorts: readonly string[]
  /** Absolute paths that want a volume. */
  readonly volumes: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal?: string
  readonly healthcheck?: ImageHealthcheck
  /** The shell that the shell form of commands uses. */
  readonly shell?: readonly string[]
  /** Instructions of a Dockerfile that run first in what is built on the image. */
  readonly onBuild?: readonly string[]
}

/** One step of an image's making, as the configuration tells it; the lowest first. */
export interface HistoryStep {
  /** RFC 3339. */
  readonly created?: string
  readonly createdBy?: string
  readonly comment?: string
  /** The step made no layer. */
  readonly isEmpty?: boolean
}

export interface Image {
  /** The digest of the configuration: names the image for good. */
  readonly id: Digest
  /** The digest of the manifest. */
  readonly digest: Digest
  /** Go's names: `amd64`, `arm64`. */
  readonly architecture: string
  readonly os: string
  /** RFC 3339. */
  readonly created: string
  readonly config: ImageConfig
  /** Digests of the uncompressed layers, lowest first. */
  readonly layers: readonly Digest[]
  /** Bytes of the files of all layers. */
  readonly sizeBytes: number
  /** Its manifest was written here, so that nobody else has to know the image by the digest of it. */
  readonly madeHere?: boolean
}

/** This machine's architecture by Go's name. */
export const HOST_ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch

const DIGEST = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: string): boolean {
  return DIGEST.test(text)
}

/** The digest of bytes or of UTF-8 text. */
export function digestOf(content: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** What a configuration file says, without what only the store knows. */
export type ParsedConfig = Pick<Image, 'architecture' | 'os' | 'created' | 'config' | 'layers'>

const MAX_LAYERS = 500
const MAX_LIST = 10_000

type Json = Readonly<Record<string, unknown>>

function bad(what: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot read image configuration: ${what}`)
}

function object(value: unknown, what: string): Json {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw bad(`${what} is not an object`)
  if (Object.keys(value).length > MAX_LIST) throw bad(`${what} has more than ${MAX_LIST} keys`)
  return value as Json
}

function text(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || value.includes('\0')) throw bad(`${what} is not text`)
  return value
}

function texts(value: unknown, what: string): string[] | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value) || value.length > MAX_LIST) throw bad(`${what} is not a list`)
  return value.map((item) => {
    if (typeof item !== 'string' || item.includes('\0'))
      throw bad(`${what} holds something else than text`)
    return item
  })
}

function count(value: unknown, what: string): number | undefined {
  if (value === undefined || value === null || value === 0) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw bad(`${what} is not a count`)
  return value
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}

function parseHealthcheck(value: unknown): ImageHealthcheck | undefined {
  const health = object(value, 'Healthcheck')
  const test = texts(health.Test, 'Healthcheck.Test')
  if (test === undefined || test.length === 0) return undefined
  return defined({
    test,
    interval: count(health.Interval, 'Healthcheck.Interval'),
    timeout: count(health.Timeout, 'Healthcheck.Timeout'),
    startPeriod: count(health.StartPeriod, 'Healthcheck.StartPeriod'),
    startInterval: count(health.StartInterval, 'Healthcheck.StartInterval'),
    retries: count(health.Retries, 'Healthcheck.Retries'),
  })
}

function parseEnvironment(value: unknown): Record<string, string> {
  const pairs = (texts(value, 'Env') ?? []).map((line): [string, string] => {
    const equals = line.indexOf('=')
    return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)]
  })
  return Object.fromEntries(pairs.filter(([name]) => name !== ''))
}

function parseLabels(value: unknown): Record<string, string> {
  const labels = Object.entries(object(value, 'Labels'))
  return Object.fromEntries(labels.map(([name, label]) => [name, text(label, 'Labels') ?? '']))
}

/**
 * Reads an OCI or Docker image configuration. Every field is checked: images come from anywhere.
 * @throws {INVALID_ARGUMENT}
 */
export function parseImageConfig(bytes: Uint8Array): ParsedConfig {
  let root: Json
  try {
    root = object(
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
      'the document',
    )
  } catch (error) {
    if (error instanceof TsstackError) throw error
    throw new TsstackError('INVALID_ARGUMENT', 'Cannot read image configuration: it is not JSON', {
      cause: error,
    })
  }
  const rootfs = object(root.rootfs, 'rootfs')
  const layers = texts(rootfs.diff_ids, 'rootfs.diff_ids') ?? []
  if (layers.length > MAX_LAYERS) throw bad(`it has more than ${MAX_LAYERS} layers`)
  if (!layers.every(isDigest)) throw bad('rootfs.diff_ids holds something else than sha256 digests')
  const config = object(root.config, 'config')
  return {
    architecture: text(root.architecture, 'architecture') ?? HOST_ARCHITECTURE,
    os: text(root.os, 'os') ?? 'linux',
    created: text(root.created, 'created') ?? '1970-01-01T00:00:00Z',
    layers,
    config: defined({
      env: parseEnvironment(config.Env),
      entrypoint: texts(config.Entrypoint, 'Entrypoint'),
      cmd: texts(config.Cmd, 'Cmd'),
      workingDir: text(config.WorkingDir, 'WorkingDir'),
      user: text(config.User, 'User'),
      exposedPorts: Object.keys(object(config.ExposedPorts, 'ExposedPorts')).sort(),
      volumes: Object.keys(object(config.Volumes, 'Volumes')).sort(),
      labels: parseLabels(config.Labels),
      stopSignal: text(config.StopSignal, 'StopSignal'),
      healthcheck: parseHealthcheck(config.Healthcheck),
      shell: texts(config.Shell, 'Shell'),
      onBuild: texts(config.OnBuild, 'OnBuild'),
    }),
  }
}

function formatHealthcheck(health: ImageHealthcheck | undefined): Json | undefined {
  if (health === undefined) return undefined
  return defined({
    Test: health.test,
    Interval: health.interval,
    Timeout: health.timeout,
    StartPeriod: health.startPeriod,
    StartInterval: health.startInterval,
    Retries: health.retries,
  })
}

function keys(names: readonly string[]): Json | undefined {
  return names.length === 0 ? undefined : Object.fromEntries(names.map((name) => [name, {}]))
}

function formatStep({ created, createdBy, comment, isEmpty }: HistoryStep): Json {
  return defined({ created, created_by: createdBy, comment, empty_layer: isEmpty })
}

/** How an image came to be; nothing of it changes what a container sees. */
export interface ImageOrigin {
  readonly author?: string
  readonly history?: readonly HistoryStep[]
  /** Further fields, which other programs pass over. */
  readonly extra?: Readonly<Record<string, unknown>>
}

/** Writes an OCI image configuration; the same input gives the same bytes. */
export function formatImageConfig(
  image: ParsedConfig,
  { author, history, extra }: ImageOrigin = {},
): string {
  const { config } = image
  return JSON.stringify({
    created: image.created,
    ...(author === undefined ? {} : { author }),
    architecture: image.architecture,
    os: image.os,
    config: defined({
      User: config.user,
      ExposedPorts: keys(config.exposedPorts),
      Env: Object.entries(config.env).map(([name, value]) => `${name}=${value}`),
      Entrypoint: config.entrypoint,
      Cmd: config.cmd,
      Volumes: keys(config.volumes),
      WorkingDir: config.workingDir,
      Labels: Object.keys(config.labels).length === 0 ? undefined : config.labels,
      StopSignal: config.stopSignal,
      Healthcheck: formatHealthcheck(config.healthcheck),
      Shell: config.shell,
      OnBuild: config.onBuild,
    }),
    rootfs: { type: 'layers', diff_ids: image.layers },
    ...(history === undefined ? {} : { history: history.map(formatStep) }),
    ...extra,
  })
}
