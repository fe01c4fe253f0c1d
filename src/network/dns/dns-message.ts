/**
 * DNS messages (RFC 1035, 3596, 6891): reading queries that may be hostile, writing answers. Pure, and bounded by the
 * length of the message: a name in a query is read once, without following pointers.
 */
const HEADER_BYTES = 12
const MAX_NAME_BYTES = 255
const MAX_LABEL_BYTES = 63
const OPT = 41
/** A pointer to the name of the question, which always starts at byte 12. */
const POINTER_TO_QUESTION = 0xc00c
/** What a sender without EDNS takes by UDP. */
const PLAIN_UDP_BYTES = 512
/** The largest datagram that passes everywhere unfragmented (DNS flag day 2020). */
const EDNS_UDP_BYTES = 1232

export const RecordType = { A: 1, PTR: 12, AAAA: 28, ANY: 255 } as const
export const ResponseCode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const
const CLASS_IN = 1
const CLASS_ANY = 255

const Flag = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, CD: 0x0010 } as const
const OPCODE_MASK = 0x7800

export interface DnsQuery {
  readonly id: number
  /** RD and CD, which the answer repeats. */
  readonly flags: number
  /** Lower case, without final dot; bytes outside printable ASCII, dots within labels and backslashes as `\DDD`. */
  readonly name: string
  readonly type: number
  /** Header and question as they came, so that the answer repeats the question letter by letter. */
  readonly question: Buffer
  readonly edns: boolean
  /** How long an answer by UDP may be. */
  readonly udpBytes: number
}

export type DecodedQuery =
  | { readonly kind: 'query'; readonly query: DnsQuery }
  /** To be answered with this code and nothing else. */
  | { readonly kind: 'refuse'; readonly id: number; readonly flags: number; readonly code: number }
  /** No query at all: not to be answered, or two servers would answer each other for ever. */
  | { readonly kind: 'ignore' }

/** Reads a message that claims to be a query. */
export function decodeQuery(message: Buffer): DecodedQuery {
  if (message.length < HEADER_BYTES) return { kind: 'ignore' }
  const allFlags = message.readUInt16BE(2)
  if ((allFlags & Flag.QR) !== 0) return { kind: 'ignore' }
  const refuse = (code: number): DecodedQuery => {
    return {
      kind: 'refuse',
      id: message.readUInt16BE(0),
      flags: allFlags & (OPCODE_MASK | Flag.RD),
      code,
    }
  }
  if ((allFlags & OPCODE_MASK) !== 0) return refuse(ResponseCode.NOTIMP)
  const [questions, answers, authorities, additional] = [4, 6, 8, 10].map((at) =>
    message.readUInt16BE(at),
  )
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additional === undefined)
    return refuse(ResponseCode.FORMERR)
  const name = readName(message)
  if (name === undefined || name.end + 4 > message.length) return refuse(ResponseCode.FORMERR)
  const classCode = message.readUInt16BE(name.end + 2)
  if (classCode !== CLASS_IN && classCode !== CLASS_ANY) return refuse(ResponseCode.NOTIMP)
  const end = name.end + 4
  const udpBytes = additional === 0 ? undefined : readEdns(message, end)
  const query = {
    id: message.readUInt16BE(0),
    flags: allFlags & (Flag.RD | Flag.CD),
    name: name.text,
    type: message.readUInt16BE(name.end),
    question: message.subarray(0, end),
    edns: udpBytes !== undefined,
    udpBytes: Math.min(EDNS_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, udpBytes ?? 0)),
  }
  return { kind: 'query', query }
}

/** The name of the question; undefined when it is longer than it may be or leaves the message. */
function readName(message: Buffer): { readonly text: string; readonly end: number } | undefined {
  let text = ''
  let at = HEADER_BYTES
  for (;;) {
    const length = message[at]
    if (length === undefined || length > MAX_LABEL_BYTES) return undefined // a pointer, or beyond the end
    at += 1
    if (length === 0) return { text, end: at }
    if (at + length - HEADER_BYTES >= MAX_NAME_BYTES || at + length > message.length)
      return undefined
    if (text !== '') text += '.'
    for (const end = at + length; at < end; at++) text += character(message[at] ?? 0)
  }
}

function character(byte: number): string {
  if (byte >= 0x41 && byte <= 0x5a) return String.fromCharCode(byte + 32)
  if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c)
    return `\\${String(byte).padStart(3, '0')}`
  return String.fromCharCode(byte)
}

/** The sender's datagram size, when the first additional record is OPT; others don't occur in queries without TSIG. */
function readEdns(message: Buffer, at: number): number | undefined {
  if (at + 11 > message.length || message[at] !== 0) return undefined
  return message.readUInt16BE(at + 1) === OPT ? message.readUInt16BE(at + 3) : undefined
}

/** A record whose name is that of the question. */
export interface AnswerRecord {
  readonly type: number
  readonly data: Uint8Array
}

export interface DnsAnswer {
  readonly code: number
  /** Seconds. */
  readonly ttl: number
  readonly records: readonly AnswerRecord[]
  /** Bytes; records that don't fit are left out and the answer is marked as truncated. */
  readonly limit: number
}

const OPT_RECORD = Uint8Array.of(
  0,
  0,
  OPT,
  EDNS_UDP_BYTES >> 8,
  EDNS_UDP_BYTES & 255,
  0,
  0,
  0,
  0,
  0,
  0,
)

/** Writes an answer with authority. */
export function encodeAnswer(query: DnsQuery, answer: DnsAnswer): Buffer {
  const opt = query.edns ? OPT_RECORD : new Uint8Array(0)
  let length = query.question.length + opt.length
  let count = 0
  for (const { data } of answer.records) {
    const next = length + 12 + data.length
    if (next > answer.limit) break
    length = next
    count += 1
  }
  const truncated = count < answer.records.length ? Flag.TC : 0
  const bytes = Buffer.allocUnsafe(length)
  query.question.copy(bytes)
  bytes.writeUInt16BE(Flag.QR | Flag.AA | Flag.RA | query.flags | truncated | answer.code, 2)
  bytes.writeUInt16BE(count, 6)
  bytes.writeUInt16BE(0, 8)
  bytes.writeUInt16BE(query.edns ? 1 : 0, 10)
  let at = query.question.length
  for (let index = 0; index < count; index++) {
    const record = answer.records[index]
    if (record !== undefined) at = writeRecord(bytes, at, record, answer.ttl)
  }
  bytes.set(opt, at)
  return bytes
}

function writeRecord(bytes: Buffer, start: number, record: AnswerRecord, ttl: number): number {
  bytes.writeUInt16BE(POINTER_TO_QUESTION, start)
  bytes.writeUInt16BE(record.type, start + 2)
  bytes.writeUInt16BE(CLASS_IN, start + 4)
  bytes.writeUInt32BE(ttl, start + 6)
  bytes.writeUInt16BE(record.data.length, start + 10)
  bytes.set(record.data, start + 12)
  return start + 12 + record.data.length
}

/** Writes an answer that is only a code, for a message whose question could not be read. */
export function encodeRefusal(refusal: {
  readonly id: number
  readonly flags: number
  readonly code: number
}): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.writeUInt16BE(refusal.id, 0)
  bytes.writeUInt16BE(Flag.QR | refusal.flags | refusal.code, 2)
  return bytes
}

/** A name in wire form; undefined when it is not one that DNS can carry. */
export function encodeName(name: string): Uint8Array | undefined {
  const labels = name
    .replace(/\.$/, '')
    .split('.')
    .map((label) => Buffer.from(label, 'latin1'))
  if (labels.some((label) => label.length === 0 || label.length > MAX_LABEL_BYTES)) return undefined
  const bytes = Buffer.concat([
    ...labels.flatMap((label) => [Uint8Array.of(label.length), label]),
    Uint8Array.of(0),
  ])
  return bytes.length > MAX_NAME_BYTES ? undefined : bytes
}

/** Whether an answer was cut because it was too long. */
export function isTruncated(message: Buffer): boolean {
  return (message.readUInt16BE(2) & Flag.TC) !== 0
}

/** The code of an answer. */
export function responseCode(message: Buffer): number {
  return message.readUInt16BE(2) & 15
}

/** Whether a message is an answer to this question: the same name, letter by letter, type and class. */
export function answers(message: Buffer, question: Buffer): boolean {
  if (message.length < question.length || (message.readUInt16BE(2) & Flag.QR) === 0) return false
  if (message.readUInt16BE(4) !== 1) return false
  return (
    message.compare(question, HEADER_BYTES, question.length, HEADER_BYTES, question.length) === 0
  )
}

/** An answer cut down to its question and marked as truncated: the asker comes back by TCP. */
export function truncate(message: Buffer, question: Buffer): Buffer {
  const bytes = Buffer.from(message.subarray(0, question.length))
  bytes.writeUInt16BE(message.readUInt16BE(2) | Flag.TC, 2)
  bytes.fill(0, 6, HEADER_BYTES)
  return bytes
}

/** The address that a reverse name stands for (RFC 1035 §3.5, RFC 3596 §2.5); undefined for any other name. */
export function addressOfReverseName(name: string): string | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name)
  if (v4 !== null) return v4.slice(1).reverse().map(Number).join('.')
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)
  const digits = v6?.[1]?.replaceAll('.', '').split('').reverse().join('')
  return digits?.match(/.{4}/g)?.join(':')
}
