/** Messages of nf_tables as data (include/uapi/linux/netfilter/nf_tables.h). All numbers are in network byte order. Pure. */
import {
  be16,
  be32,
  readAttributes,
  readText,
  text,
  type Attribute,
} from '../netlink/attributes.ts'
import { RequestFlag, type NetlinkRequest } from '../netlink/messages.ts'
import type { Expression } from './expressions.ts'

const SUBSYSTEM = 10
const HEADER_BYTES = 4
const BATCH_BEGIN = 0x10
const BATCH_END = 0x11
const Message = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  NEWSETELEM: 12,
  DELSETELEM: 14,
  GETGEN: 16,
} as const
const LIST_ELEMENT = 1
const TableAttribute = { NAME: 1, HANDLE: 4 } as const
const ChainAttribute = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const
const HookAttribute = { NUMBER: 1, PRIORITY: 2 } as const
const RuleAttribute = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, USERDATA: 7 } as const
const SetAttribute = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LENGTH: 5,
  DATA_TYPE: 6,
  DATA_LENGTH: 7,
  DESCRIPTION: 9,
  ID: 10,
  USERDATA: 13,
} as const
const ElementsAttribute = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const
const ElementAttribute = { KEY: 1, DATA: 2, KEY_END: 10 } as const
const DATA_VALUE = 1
const SetFlag = { INTERVAL: 4, MAP: 8, CONCATENATION: 0x80 } as const
const DESCRIPTION_CONCATENATION = 2
const FIELD_LENGTH = 1
const GENERATION_ID = 1
/** An attribute's length has 16 bits; this many bytes of elements go into one message. */
const ELEMENTS_BYTES = 60_000

/** libnftnl: type 0 (byte order of the key), 4 bytes, 1 (the host's). */
const HOST_ORDER_DATA = Uint8Array.of(0, 4, 1, 0, 0, 0)

/** include/uapi/linux/netfilter.h */
export const NetfilterFamily = { ANY: 0, INET: 1, IPV4: 2, IPV6: 10 } as const
export const Hook = { PREROUTING: 0, INPUT: 1, FORWARD: 2, OUTPUT: 3, POSTROUTING: 4 } as const
export const Policy = { DROP: 0, ACCEPT: 1 } as const

/** A table of one family. */
export interface Table {
  readonly family: number
  readonly name: string
}

export interface BaseChain {
  readonly name: string
  readonly type: 'filter' | 'nat'
  readonly hook: number
  readonly priority: number
  readonly policy: number
}

/** A set of keys, or a map from keys to data. Types are those that `nft list` prints by. */
export interface SetDefinition {
  readonly name: string
  readonly keyType: number
  readonly keyBytes: number
  /** The key is no number in network byte order; nft must know to print it. */
  readonly hostOrder?: boolean
  /** Bytes of each part of a concatenated key, of which elements are ranges (Linux 5.6). */
  readonly fields?: readonly number[]
  readonly dataType?: number
  readonly dataBytes?: number
}

export interface SetElement {
  readonly key: Uint8Array
  /** Of a set of ranges: the last key, every part of it. */
  readonly keyEnd?: Uint8Array
  /** Of a map. */
  readonly data?: Uint8Array
}

function header(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, ...be16(resource))
}

interface Draft {
  readonly action: string
  readonly message: number
  readonly flags: number
  readonly attributes: readonly Attribute[]
}

function request(table: Table, draft: Draft): NetlinkRequest {
  return {
    action: draft.action,
    type: (SUBSYSTEM << 8) | draft.message,
    flags: draft.flags,
    header: header(table.family),
    attributes: draft.attributes,
  }
}

/** Frames requests so that all of them take effect at once or none does. */
export function frameBatch(requests: readonly NetlinkRequest[]): NetlinkRequest[] {
  const frame = (type: number): NetlinkRequest => {
    return {
      action: 'change the firewall',
      type,
      flags: 0,
      header: header(0, SUBSYSTEM),
      attributes: [],
    }
  }
  return [frame(BATCH_BEGIN), ...requests, frame(BATCH_END)]
}

/** Makes a table; no error where it is. */
export function newTable(table: Table): NetlinkRequest {
  const attributes: Attribute[] = [[TableAttribute.NAME, text(table.name)]]
  return request(table, {
    action: `create table "${table.name}"`,
    message: Message.NEWTABLE,
    flags: RequestFlag.CREATE,
    attributes,
  })
}

/** Deletes a table with all that is in it. ENOENT where there is none. */
export function deleteTable(table: Table): NetlinkRequest {
  const attributes: Attribute[] = [[TableAttribute.NAME, text(table.name)]]
  return request(table, {
    action: `delete table "${table.name}"`,
    message: Message.DELTABLE,
    flags: 0,
    attributes,
  })
}

/** Asks for a table. ENOENT where there is none. */
export function getTable(table: Table): NetlinkRequest {
  const attributes: Attribute[] = [[TableAttribute.NAME, text(table.name)]]
  return request(table, {
    action: `find table "${table.name}"`,
    message: Message.GETTABLE,
    flags: 0,
    attributes,
  })
}

/** The number of a table that no other table ever has, from the answer to `getTable`. */
export function decodeTableHandle(body: Buffer): bigint {
  return (
    readAttributes(body.subarray(HEADER_BYTES)).get(TableAttribute.HANDLE)?.readBigUInt64BE(0) ?? 0n
  )
}

/** Makes a chain that hangs on a hook of the kernel. */
export function newChain(table: Table, chain: BaseChain): NetlinkRequest {
  const attributes: Attribute[] = [
    [ChainAttribute.TABLE, text(table.name)],
    [ChainAttribute.NAME, text(chain.name)],
    [
      ChainAttribute.HOOK,
      [
        [HookAttribute.NUMBER, be32(chain.hook)],
        [HookAttribute.PRIORITY, be32(chain.priority)],
      ],
    ],
    [ChainAttribute.POLICY, be32(chain.policy)],
    [ChainAttribute.TYPE, text(chain.type)],
  ]
  return request(table, {
    action: `create chain "${chain.name}"`,
    message: Message.NEWCHAIN,
    flags: RequestFlag.CREATE,
    attributes,
  })
}

/** Appends a rule to a chain. `comment` is shown by `nft list` and finds the rule again. */
export function newRule(
  table: Table,
  chain: string,
  rule: { readonly expressions: readonly Expression[]; readonly comment?: string },
): NetlinkRequest {
  const attributes: Attribute[] = [
    [RuleAttribute.TABLE, text(table.name)],
    [RuleAttribute.CHAIN, text(chain)],
    [
      RuleAttribute.EXPRESSIONS,
      rule.expressions.map((expression): Attribute => [LIST_ELEMENT, expression]),
    ],
  ]
  if (rule.comment !== undefined)
    attributes.push([RuleAttribute.USERDATA, commentData(rule.comment)])
  return request(table, {
    action: `add rule to chain "${chain}"`,
    message: Message.NEWRULE,
    flags: RequestFlag.CREATE | RequestFlag.APPEND,
    attributes,
  })
}

/** libnftnl's form of a comment: type 0, length, text with NUL. */
function commentData(comment: string): Uint8Array {
  const value = text(comment)
  return Uint8Array.of(0, value.length, ...value)
}

/** Deletes one rule. */
export function deleteRule(table: Table, chain: string, handle: Uint8Array): NetlinkRequest {
  const attributes: Attribute[] = [
    [RuleAttribute.TABLE, text(table.name)],
    [RuleAttribute.CHAIN, text(chain)],
    [RuleAttribute.HANDLE, handle],
  ]
  return request(table, {
    action: `delete rule of chain "${chain}"`,
    message: Message.DELRULE,
    flags: 0,
    attributes,
  })
}

/** Makes a set or map; `id` is any number that no other set of the batch has. */
export function newSet(table: Table, set: SetDefinition, id: number): NetlinkRequest {
  const isMap = set.dataBytes !== undefined
  const flags =
    (isMap ? SetFlag.MAP : 0) |
    (set.fields === undefined ? 0 : SetFlag.INTERVAL | SetFlag.CONCATENATION)
  const attributes: Attribute[] = [
    [SetAttribute.TABLE, text(table.name)],
    [SetAttribute.NAME, text(set.name)],
    [SetAttribute.FLAGS, be32(flags)],
    [SetAttribute.KEY_TYPE, be32(set.keyType)],
    [SetAttribute.KEY_LENGTH, be32(set.keyBytes)],
    [SetAttribute.ID, be32(id)],
  ]
  if (set.fields !== undefined) {
    const fields = set.fields.map((bytes): Attribute => [
      LIST_ELEMENT,
      [[FIELD_LENGTH, be32(bytes)]],
    ])
    attributes.push([SetAttribute.DESCRIPTION, [[DESCRIPTION_CONCATENATION, fields]]])
  }
  if (set.hostOrder === true) attributes.push([SetAttribute.USERDATA, HOST_ORDER_DATA])
  if (isMap)
    attributes.push(
      [SetAttribute.DATA_TYPE, be32(set.dataType ?? 0)],
      [SetAttribute.DATA_LENGTH, be32(set.dataBytes)],
    )
  return request(table, {
    action: `create set "${set.name}"`,
    message: Message.NEWSET,
    flags: RequestFlag.CREATE,
    attributes,
  })
}

/** Adds elements to a set, in as few messages as hold them. */
export function addElements(
  table: Table,
  set: string,
  elements: readonly SetElement[],
): NetlinkRequest[] {
  return elementRequests(table, set, elements, {
    verb: 'add to',
    message: Message.NEWSETELEM,
    flags: RequestFlag.CREATE,
  })
}

/** Takes elements out of a set. ENOENT where one is not in it. */
export function deleteElements(
  table: Table,
  set: string,
  elements: readonly SetElement[],
): NetlinkRequest[] {
  return elementRequests(table, set, elements, {
    verb: 'delete from',
    message: Message.DELSETELEM,
    flags: 0,
  })
}

interface ElementsDraft {
  readonly verb: string
  readonly message: number
  readonly flags: number
}

function elementRequests(
  table: Table,
  set: string,
  elements: readonly SetElement[],
  draft: ElementsDraft,
): NetlinkRequest[] {
  const requests: NetlinkRequest[] = []
  const longest = elements.reduce(
    (most, { key, keyEnd, data }) =>
      Math.max(most, key.length + (keyEnd?.length ?? 0) + (data?.length ?? 0)),
    0,
  )
  const perMessage = Math.floor(ELEMENTS_BYTES / (longest + 40))
  for (let start = 0; start < elements.length; start += perMessage) {
    const attributes: Attribute[] = [
      [ElementsAttribute.TABLE, text(table.name)],
      [ElementsAttribute.SET, text(set)],
      [ElementsAttribute.ELEMENTS, elements.slice(start, start + perMessage).map(elementAttribute)],
    ]
    requests.push(request(table, { ...draft, action: `${draft.verb} set "${set}"`, attributes }))
  }
  return requests
}

function elementAttribute({ key, keyEnd, data }: SetElement): Attribute {
  const parts: Attribute[] = [[ElementAttribute.KEY, [[DATA_VALUE, key]]]]
  if (keyEnd !== undefined) parts.push([ElementAttribute.KEY_END, [[DATA_VALUE, keyEnd]]])
  if (data !== undefined) parts.push([ElementAttribute.DATA, [[DATA_VALUE, data]]])
  return [LIST_ELEMENT, parts]
}

/** Asks for the number that every transaction of anybody changes. */
export const GET_GENERATION: NetlinkRequest = request(
  { family: NetfilterFamily.ANY, name: '' },
  { action: 'read the firewall generation', message: Message.GETGEN, flags: 0, attributes: [] },
)

/** Reads the answer to GET_GENERATION. */
export function decodeGeneration(body: Buffer): number {
  return readAttributes(body.subarray(HEADER_BYTES)).get(GENERATION_ID)?.readUInt32BE(0) ?? 0
}

/** All chains of all families. */
export const LIST_CHAINS: NetlinkRequest = request(
  { family: NetfilterFamily.ANY, name: '' },
  { action: 'list chains', message: Message.GETCHAIN, flags: RequestFlag.DUMP, attributes: [] },
)

/** A chain of anybody. `hook` is absent where it hangs on none. */
export interface Chain {
  readonly table: Table
  readonly name: string
  readonly hook?: number
  readonly policy?: number
}

/** Reads the body of a chain in a list. */
export function decodeChain(body: Buffer): Chain {
  const attributes = readAttributes(body.subarray(HEADER_BYTES))
  const hook = readAttributes(attributes.get(ChainAttribute.HOOK) ?? Buffer.alloc(0)).get(
    HookAttribute.NUMBER,
  )
  const policy = attributes.get(ChainAttribute.POLICY)
  return {
    table: { family: body.readUInt8(0), name: readText(attributes.get(ChainAttribute.TABLE)) },
    name: readText(attributes.get(ChainAttribute.NAME)),
    ...(hook === undefined ? {} : { hook: hook.readUInt32BE(0) }),
    ...(policy === undefined ? {} : { policy: policy.readUInt32BE(0) }),
  }
}

/** The rules of one chain. */
export function listRules(table: Table, chain: string): NetlinkRequest {
  const attributes: Attribute[] = [
    [RuleAttribute.TABLE, text(table.name)],
    [RuleAttribute.CHAIN, text(chain)],
  ]
  return request(table, {
    action: `list rules of chain "${chain}"`,
    message: Message.GETRULE,
    flags: RequestFlag.DUMP,
    attributes,
  })
}

/** Reads the body of a rule in a list: its handle, and the comment that `newRule` gave it. */
export function decodeRule(body: Buffer): {
  readonly handle: Uint8Array
  readonly comment: string
} {
  const attributes = readAttributes(body.subarray(HEADER_BYTES))
  const userData = attributes.get(RuleAttribute.USERDATA)
  const isComment = userData !== undefined && userData.length > 2 && userData[0] === 0
  return {
    handle: attributes.get(RuleAttribute.HANDLE) ?? Buffer.alloc(8),
    comment: isComment ? readText(userData.subarray(2, 2 + (userData[1] ?? 0))) : '',
  }
}
