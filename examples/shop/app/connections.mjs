// The connections of api and worker. Whoever loses one ends, and is restarted: then everything is found anew.
import { readFileSync } from 'node:fs'
import * as postgres from './postgres.mjs'
import * as redis from './redis.mjs'

export function openDatabase() {
  const password = readFileSync('/run/secrets/db-password', 'utf8').trim()
  return postgres.connect({
    host: 'db',
    user: 'shop',
    database: 'shop',
    password,
    onEnd: () => leave('lost the database'),
  })
}

export function openQueue() {
  return redis.connect({ host: 'queue', onEnd: () => leave('lost the queue') })
}

function leave(why) {
  console.error(why)
  process.exit(1)
}
