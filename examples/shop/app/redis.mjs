// A small client of Redis (its protocol RESP2): one connection, commands in, replies out in the same order.
import { connect as connectTcp } from 'node:net'

/** @returns a function `command(...words)`, which resolves to the reply: text, number, null, or an array of these */
export function connect({ host, port = 6379, onEnd }) {
  const socket = connectTcp(port, host)
  const waiting = []
  let pending = ''

  socket.setEncoding('latin1').on('data', (chunk) => {
    pending += chunk
    for (let reply; (reply = parse(pending, 0)); pending = pending.slice(reply.end)) {
      const { resolve, reject } = waiting.shift()
      if (reply.value instanceof Error) reject(reply.value)
      else resolve(reply.value)
    }
  })
  socket.on('close', () => {
    for (const { reject } of waiting.splice(0))
      reject(new Error('the queue has closed the connection'))
    onEnd()
  })

  return (...words) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      const bulks = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
      socket.write(`*${words.length}\r\n${bulks.join('')}`)
    })
}

/** The reply at a position; undefined while it is not whole. */
function parse(text, start) {
  const lineEnd = text.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const line = text.slice(start + 1, lineEnd)
  let end = lineEnd + 2
  switch (text[start]) {
    case '+':
      return { value: line, end }
    case '-':
      return { value: new Error(line), end }
    case ':':
      return { value: Number(line), end }
    case '$': {
      if (line === '-1') return { value: null, end }
      const value = text.slice(end, end + Number(line))
      end += Number(line) + 2
      return text.length < end ? undefined : { value: Buffer.from(value, 'latin1').toString(), end }
    }
    case '*': {
      if (line === '-1') return { value: null, end }
      const items = []
      while (items.length < Number(line)) {
        const item = parse(text, end)
        if (item === undefined) return undefined
        items.push(item.value)
        end = item.end
      }
      return { value: items, end }
    }
  }
  throw new Error(`unknown reply of the queue: ${text.slice(start, start + 20)}`)
}
