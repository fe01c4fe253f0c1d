/** What clients may send about sources. */
import { z } from 'zod'
import type { ApproveRequest, GitSource, SyncRequest } from '../api/gitops-types.ts'

const MAX_INTERVAL_S = 7 * 86_400
const text = z.string().max(4096)
const texts = z.array(text).max(100)
const seconds = (min: number): z.ZodNumber => z.number().min(min).max(MAX_INTERVAL_S)
const absolutePath = text.startsWith('/')
const sourceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]*$/, 'has to be small letters, digits, - and _')
  .max(63)
const digest = z.string().regex(/^[0-9a-f]{64}$/)

/** `VENDOR/CLASS=NAME` of the Container Device Interface. */
const cdiDevice = z
  .string()
  .regex(/^[\w.-]+\/[\w.-]+=[\w.:-]+$/)
  .max(300)

/** Within the repository. */
const innerPath = text.refine(
  (path) =>
    !path.startsWith('/') && !path.split('/').some((part) => part === '..' || part === '.git'),
  'a path within the repository',
)

const permissions = z.strictObject({
  privileged: z.boolean(),
  hostNamespaces: z.boolean(),
  hostPaths: z.array(absolutePath).max(100),
  capabilities: z.array(z.string().regex(/^[A-Z_]{1,40}$/)).max(50),
  devices: z.array(z.union([z.literal('gpus'), cdiDevice, absolutePath])).max(100),
  external: texts,
  ports: z
    .array(z.string().regex(/^\d{1,5}(-\d{1,5})?$/, 'has to be a port, or two with a - between'))
    .max(100)
    .exactOptional(),
})

/** One line that git can take for an author. */
const author = z
  .string()
  .regex(/^[^<>\p{Cc}]+ <[^<>\s\p{Cc}]+>$/u)
  .max(200)

const imageUpdates = z.strictObject({
  intervalSeconds: seconds(1),
  branch: z.string().min(1).max(200).exactOptional(),
  repo: text.min(1).exactOptional(),
  sshKeyFile: absolutePath.exactOptional(),
  passwordFile: absolutePath.exactOptional(),
  author,
  message: z
    .string()
    .regex(/^\P{Cc}+$/u)
    .max(200),
  signKeyFile: absolutePath.exactOptional(),
})

export const gitSource: z.ZodType<GitSource> = z.strictObject({
  name: sourceName,
  repo: text.min(1),
  ref: text.min(1).exactOptional(),
  path: innerPath,
  sparse: z.array(innerPath).max(100).exactOptional(),
  stack: sourceName,
  intervalSeconds: seconds(1),
  fetchTimeoutSeconds: seconds(1),
  healthTimeoutSeconds: seconds(1),
  monitorSeconds: seconds(0),
  prune: z.boolean(),
  allowEmpty: z.boolean(),
  envFiles: z.array(absolutePath).max(100),
  profiles: texts,
  dependsOn: z.array(sourceName).max(100),
  approve: z.enum(['auto', 'manual']),
  windows: texts,
  freezes: texts,
  verifyKeys: z.array(z.string().max(1 << 20)).max(100),
  allow: permissions,
  webhookSecret: z.string().min(8, 'has to have 8 characters at least').max(1000).exactOptional(),
  notify: z.array(z.url({ protocol: /^https?$/ }).max(2000)).max(20),
  sshKeyFile: absolutePath.exactOptional(),
  knownHostsFile: absolutePath.exactOptional(),
  passwordFile: absolutePath.exactOptional(),
  ageIdentityFile: absolutePath.exactOptional(),
  imageUpdates: imageUpdates.exactOptional(),
})

export const syncRequest: z.ZodType<SyncRequest> = z.strictObject({
  force: z.boolean().exactOptional(),
})

export const approveRequest: z.ZodType<ApproveRequest> = z.strictObject({
  digest: digest.exactOptional(),
})
