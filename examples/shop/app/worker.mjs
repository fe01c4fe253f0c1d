// Packs orders: takes their numbers out of the queue, and what they want out of the stock.
import { openDatabase, openQueue } from './connections.mjs'

const query = await openDatabase()
const queue = openQueue()

let isLeaving = false
process.on('SIGTERM', () => {
  isLeaving = true // after the order at hand; the queue answers within a second
})

/** One statement, so one transaction; an order that comes twice is packed once. */
async function pack(id) {
  const [order] = await query(
    `WITH wanted AS (
       SELECT id, product, quantity FROM orders WHERE id = $1 AND state = 'new' FOR UPDATE
     ), taken AS (
       UPDATE products SET stock = stock - quantity FROM wanted
       WHERE name = product AND stock >= quantity RETURNING name
     )
     UPDATE orders SET state = CASE WHEN EXISTS (SELECT FROM taken) THEN 'packed' ELSE 'sold out' END
     FROM wanted WHERE orders.id = wanted.id RETURNING orders.id, state`,
    [id],
  )
  if (order) console.log(`order ${order.id}: ${order.state}`)
}

// Those that an earlier worker had taken out of the queue when it died.
for (const { id } of await query(`SELECT id FROM orders WHERE state = 'new' ORDER BY id`))
  await pack(id)

console.log('worker waits for orders')
while (!isLeaving) {
  const found = await queue('BRPOP', 'orders', 1)
  if (found) await pack(found[1])
}
process.exit(0)
