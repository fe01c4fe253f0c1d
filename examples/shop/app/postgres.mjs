// A small client of PostgreSQL (Frontend/Backend Protocol 3.0, chapter 55 of its manual): one connection, SCRAM-SHA-256,
// queries with parameters, all values as text. Queries wait for each other.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { on } from 'node:events'
import { connect as connectTcp } from 'node:net'

/** Oids of bigint, smallint and integer (pg_type.dat). */
const WHOLE_NUMBERS = [20, 21, 23]

export class PostgresError extends Error {
  constructor(fields) {
    super(fields.M)
    this.code = fields.C
  }
}

/** @returns a function `query(text, values)`, which resolves to the rows, as objects */
export async function connect({ host, port = 5432, user, database, password, onEnd }) {
  const socket = connectTcp(port, host)
  const messages = readMessages(socket)
  const send = (type, ...parts) => socket.write(message(type, ...parts))
  const next = async () => {
    const { value, done } = await messages.next()
    if (done) throw new Error('the database has closed the connection')
    if (value.type === 'E' && value.isFatal) throw new PostgresError(fieldsOf(value.body))
    return value
  }
  socket.on('close', onEnd)

  send(
    '',
    int32(196608),
    cstring('user'),
    cstring(user),
    cstring('database'),
    cstring(database),
    [0],
  )
  await authenticate({ next, send, password })
  await untilReady(next)

  let last = Promise.resolve()
  return (text, values = []) => {
    const result = last.then(() => {
      send('P', cstring(''), cstring(text), int16(0)) // Parse
      send(
        'B',
        cstring(''),
        cstring(''),
        int16(0),
        int16(values.length),
        ...values.map(parameter),
        int16(0),
      ) // Bind
      send('D', 'P', cstring('')) // Describe
      send('E', cstring(''), int32(0)) // Execute
      send('S') // Sync
      return untilReady(next)
    })
    last = result.catch(() => {})
    return result
  }
}

/** Collects the rows of a query. An error counts once the server is ready again. */
async function untilReady(next) {
  const rows = []
  let columns = []
  let error
  for (;;) {
    const { type, body } = await next()
    if (type === 'T') columns = columnsOf(body)
    else if (type === 'D') rows.push(rowOf(body, columns))
    else if (type === 'E') error = new PostgresError(fieldsOf(body))
    else if (type === 'Z') break
  }
  if (error) throw error
  return rows
}

/** RFC 5802 and RFC 7677, as chapter 55.3 has them in the messages. */
async function authenticate({ next, send, password }) {
  const nonce = randomBytes(18).toString('base64')
  const first = `n=,r=${nonce}`
  let signature
  for (;;) {
    const { type, body } = await next()
    if (type === 'E') throw new PostgresError(fieldsOf(body))
    const kind = body.readInt32BE(0)
    const text = body.toString('utf8', 4)
    if (kind === 0) return
    if (kind === 10) {
      send('p', cstring('SCRAM-SHA-256'), int32(first.length + 3), `n,,${first}`)
    } else if (kind === 11) {
      const { r, s, i } = Object.fromEntries(
        text.split(',').map((part) => [part[0], part.slice(2)]),
      )
      if (!r.startsWith(nonce))
        throw new Error('the database answers with a nonce that is not ours')
      const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256')
      const clientKey = hmac(salted, 'Client Key')
      const all = `${first},${text},c=biws,r=${r}`
      const mask = hmac(createHash('sha256').update(clientKey).digest(), all)
      const proof = clientKey.map((byte, index) => byte ^ mask[index])
      signature = hmac(hmac(salted, 'Server Key'), all).toString('base64')
      send('p', `c=biws,r=${r},p=${Buffer.from(proof).toString('base64')}`)
    } else if (kind === 12) {
      if (text !== `v=${signature}`) throw new Error('the database does not know the password')
    } else throw new Error(`unknown way of authentication: ${kind}`)
  }
}

function hmac(key, text) {
  return createHmac('sha256', key).update(text).digest()
}

async function* readMessages(socket) {
  let pending = Buffer.alloc(0)
  let isReady = false
  // Listening also while nobody asks, else the end of an idle connection would go unseen.
  for await (const [chunk] of on(socket, 'data', { close: ['close'] })) {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 5 && pending.length > pending.readInt32BE(1)) {
      const end = pending.readInt32BE(1) + 1
      const type = String.fromCharCode(pending[0])
      isReady ||= type === 'Z'
      // Before the first "ready" an error is the last message of all.
      yield { type, body: pending.subarray(5, end), isFatal: !isReady }
      pending = pending.subarray(end)
    }
  }
}

function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)))
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function int16(value) {
  return Buffer.from([value >> 8, value])
}

function int32(value) {
  return Buffer.from([value >> 24, value >> 16, value >> 8, value])
}

function cstring(text) {
  return `${text}\0`
}

function parameter(value) {
  if (value === null) return int32(-1)
  const bytes = Buffer.from(String(value))
  return Buffer.concat([int32(bytes.length), bytes])
}

function fieldsOf(body) {
  const fields = body.toString().split('\0').filter(Boolean)
  return Object.fromEntries(fields.map((field) => [field[0], field.slice(1)]))
}

/** Each column: its name, a zero, and 18 bytes of which the oid of its type says whether it is a whole number. */
function columnsOf(body) {
  const columns = []
  for (let at = 2; at < body.length;) {
    const end = body.indexOf(0, at)
    const isNumber = WHOLE_NUMBERS.includes(body.readInt32BE(end + 7))
    columns.push({ name: body.toString('utf8', at, end), isNumber })
    at = end + 19
  }
  return columns
}

function rowOf(body, columns) {
  let at = 2
  return Object.fromEntries(
    columns.map(({ name, isNumber }) => {
      const length = body.readInt32BE(at)
      const text = length < 0 ? null : body.toString('utf8', at + 4, at + 4 + length)
      at += 4 + Math.max(length, 0)
      return [name, isNumber && text !== null ? Number(text) : text]
    }),
  )
}
