/** The single files of a container: configs and secrets, and what tells it about its network. */
import { readFileSync } from 'node:fs'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { TreeFile } from '../engine/file-tree.ts'
import { makeHosts, makeResolvConf } from '../network/resolver-files.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { digestOfContent } from './desired-state-of.ts'
import type { ContainerRecord } from './records.ts'

/** @throws {INTERNAL} when a content is not in the stack's record */
export function secretFiles(context: Context, config: ContainerConfig): TreeFile[] {
  if (config.files.length === 0) return []
  const contents = context.stacks.get(config.stack)?.contents
  const known = [
    ...Object.values(contents?.configs ?? {}),
    ...Object.values(contents?.secrets ?? {}),
  ].map((base64) => Buffer.from(base64, 'base64'))
  const byDigest = new Map(known.map((content) => [digestOfContent(content), content]))
  return config.files.map(({ target, digest, mode, uid, gid }) => {
    const content = byDigest.get(digest)
    if (content === undefined)
      throw new TsstackError(
        'INTERNAL',
        `Cannot mount "${target}": its content is not known any more`,
      )
    return { target, content, mode, uid, gid }
  })
}

/** /etc/hosts, /etc/hostname and /etc/resolv.conf, unless something else is mounted there. */
export function etcFiles(context: Context, record: ContainerRecord): TreeFile[] {
  const { config } = record
  const taken = new Set([...config.mounts, ...config.files].map((mount) => mount.target))
  const texts = {
    '/etc/hosts': hostsText(context, record),
    '/etc/hostname': `${config.hostname}\n`,
    '/etc/resolv.conf': resolvText(context, record),
  }
  return Object.entries(texts)
    .filter(([target]) => !taken.has(target))
    .map(([target, text]) => ({ target, content: Buffer.from(text), mode: 0o644, uid: 0, gid: 0 }))
}

function hostsText(context: Context, record: ContainerRecord): string {
  const { config } = record
  const gateway = context.networks.gatewayOf(record)
  return makeHosts({
    hostname: config.hostname,
    ...(config.domainname === undefined ? {} : { domainname: config.domainname }),
    addresses: context.networks
      .leasesOf(record.id)
      .flatMap(({ ipv4, ipv6 }) => [ipv4 ?? [], ipv6 ?? []].flat()),
    extraHosts: config.extraHosts,
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
