/** The single files of a container: configs and secrets, and what tells it about its network. */
import { readFileSync } from 'node:fs'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { TreeFile } from '../engine/file-tree.ts'
import { makeHosts, makeResolvConf } from '../network/resolver-files.ts'
import { TsstackError } from '../errors.ts'
import type { StackContents } from '../spec/loaded-stack.ts'
import type { Context } from './context.ts'
import { digestOfContent } from './desired-state-of.ts'
import type { ContainerRecord } from './records.ts'

/**
 * Configs and secrets as they were when the container was made. One that an update has not replaced yet, or that a rollback
 * starts again, has the contents of an earlier revision.
 * @throws {INTERNAL} when a content is in no revision that is kept
 */
export function secretFiles(context: Context, config: ContainerConfig): TreeFile[] {
  if (config.files.length === 0) return []
  const current = contentsByDigest(context.stacks.get(config.stack)?.contents)
  return config.files.map(({ target, digest, mode, uid, gid }) => {
    const content = current.get(digest) ?? earlierContent(context, config.stack, digest)
    if (content === undefined)
      throw new TsstackError(
        'INTERNAL',
        `Cannot mount "${target}": its content is not known any more`,
      )
    return { target, content, mode, uid, gid }
  })
}

function contentsByDigest(contents: StackContents | undefined): Map<string, Buffer> {
  const known = [
    ...Object.values(contents?.configs ?? {}),
    ...Object.values(contents?.secrets ?? {}),
  ].map((base64) => Buffer.from(base64, 'base64'))
  return new Map(known.map((content) => [digestOfContent(content), content]))
}

/** Of the newest revision that has it. */
function earlierContent(context: Context, stack: string, digest: string): Buffer | undefined {
  const revision = context.revisions.list(stack).find(({ contentDigests }) => {
    const { configs, secrets } = contentDigests
    return [...Object.values(configs), ...Object.values(secrets)].includes(digest)
  })
  if (revision === undefined) return undefined
  return contentsByDigest(context.revisions.sourceOf(revision).contents).get(digest)
}

/** /etc/hosts, /etc/hostname and /etc/resolv.conf, unless something else is mounted there. */
export function etcFiles(context: Context, record: ContainerRecord): TreeFile[] {
  const { config } = record
  const owner = networkOwner(context, record)
  const taken = new Set([...config.mounts, ...config.files].map((mount) => mount.target))
  const texts = {
    '/etc/hosts': hostsText(context, owner, config.extraHosts),
    '/etc/hostname': `${config.hostname}\n`,
    '/etc/resolv.conf': resolvText(context, owner),
  }
  return Object.entries(texts)
    .filter(([target]) => !taken.has(target))
    .map(([target, text]) => ({ target, content: Buffer.from(text), mode: 0o644, uid: 0, gid: 0 }))
}

/** Whose network it is: names are looked up where the addresses are (`network_mode: service:x`). */
function networkOwner({ containers }: Context, record: ContainerRecord): ContainerRecord {
  const known = new Set<string>()
  let owner = record
  while (owner.config.networkMode.kind === 'container' && !known.has(owner.id)) {
    known.add(owner.id)
    owner = containers.get(owner.config.networkMode.container) ?? owner
  }
  return owner
}

/** @param own - `extra_hosts` of the container itself, which may share the network of another */
function hostsText(context: Context, owner: ContainerRecord, own: readonly string[]): string {
  const { config } = owner
  const extraHosts = [...new Set([...config.extraHosts, ...own])]
  const { hostname } = config
  if (config.networkMode.kind === 'host') {
    const base = readFileSync('/etc/hosts', 'utf8')
    return makeHosts({ base, hostname, addresses: [], extraHosts, hostGateway: '127.0.0.1' })
  }
  const gateway = context.networks.gatewayOf(owner)
  return makeHosts({
    hostname,
    ...(config.domainname === undefined ? {} : { domainname: config.domainname }),
    addresses: context.networks
      .leasesOf(owner.id)
      .flatMap(({ ipv4, ipv6 }) => [ipv4 ?? [], ipv6 ?? []].flat()),
    extraHosts,
    ...(gateway === undefined ? {} : { hostGateway: gateway }),
  })
}

/** A container on a network asks the daemon, which asks its `dns` for what is not the stack's. */
function resolvText(context: Context, record: ContainerRecord): string {
  const { config } = record
  if (config.networkMode.kind === 'host') return readFileSync('/etc/resolv.conf', 'utf8')
  const gateway = context.networks.gatewayOf(record)
  return makeResolvConf({
    nameServers: gateway === undefined ? config.dns : [gateway],
    search: config.dnsSearch,
    options: ['ndots:0', ...config.dnsOptions],
  })
}
