// The worker: asks the front each second, and appends the answer to a file in the volume.
import { appendFile } from 'node:fs/promises'

process.on('SIGTERM', () => process.exit(0))
console.log('worker writes to /data/answers')

for (;;) {
  try {
    const answer = await fetch('http://front:8080/')
    await appendFile('/data/answers', `${new Date().toISOString()} ${await answer.text()}`)
  } catch (error) {
    console.error(`the front does not answer: ${error.message}`)
  }
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
