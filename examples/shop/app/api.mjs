// GET /products        what there is
// POST /orders         {"product": "teapot", "quantity": 2}: takes an order
// GET /orders/ID       what has become of it
import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { openDatabase, openQueue } from './connections.mjs'

const MAX_BODY_BYTES = 10_000
const query = await openDatabase()
const queue = openQueue()

async function answer(request) {
  const [, resource, id] = request.url.split('/')
  switch (`${request.method} ${resource}`) {
    case 'GET health':
      await Promise.all([query('SELECT 1'), queue('PING')])
      return [200, { ok: true }]
    case 'GET products':
      return [200, await query('SELECT name, stock FROM products ORDER BY name')]
    case 'POST orders':
      return placeOrder(await readJson(request))
    case 'GET orders': {
      const orders = await query('SELECT id, product, quantity, state FROM orders WHERE id = $1', [
        id,
      ])
      return orders.length === 0 ? [404, { error: `there is no order ${id}` }] : [200, orders[0]]
    }
  }
  return [404, { error: `there is no ${request.url}` }]
}

/** The worker looks for orders that did not reach the queue, so nothing is lost in between. */
async function placeOrder({ product, quantity }) {
  const [order] = await query(
    'INSERT INTO orders (product, quantity) VALUES ($1, $2) RETURNING id, state',
    [product, quantity],
  )
  await queue('LPUSH', 'orders', order.id)
  console.log(`order ${order.id}: ${quantity} x ${product}`)
  return [202, order]
}

async function readJson(request) {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > MAX_BODY_BYTES) throw new SyntaxError('too long')
  }
  return JSON.parse(text)
}

/** Class 22: a value that is none; 23: one that the tables refuse. */
function isOfTheClient(error) {
  return error instanceof SyntaxError || /^2[23]/.test(error.code)
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((error) => {
    if (!isOfTheClient(error)) console.error(error)
    return isOfTheClient(error) ? [400, { error: error.message }] : [500, { error: 'try again' }]
  })
  response.writeHead(status, { 'content-type': 'application/json', 'x-replica': hostname() })
  response.end(`${JSON.stringify(body)}\n`)
})

server.listen(3000, () => console.log(`replica ${hostname()} listens on 3000`))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
