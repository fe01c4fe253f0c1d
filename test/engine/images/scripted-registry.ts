/** A registry of the test's own, on loopback, that can be told to lie, to stumble and to break off. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import zlib from 'node:zlib'
import { tarOf } from './tar-archive.ts'

export interface ScriptedRegistry {
  readonly host: string
  readonly blobs: Map<string, Buffer>
  /** By tag or digest. */
  readonly manifests: Map<string, Buffer>
  /** `GET /v2/… bytes=5-`, in order. */
  readonly requests: string[]
  /** First to look at a request; true: it has answered. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean
  close(): Promise<void>
}

export interface ScriptedImage {
  readonly manifest: Record<string, unknown> & { layers: Descriptor[]; config: Descriptor }
  readonly layer: Buffer
}

interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function serveBlob(blob: Buffer, request: IncomingMessage, response: ServerResponse): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const part = blob.subarray(from)
  if (from > 0) {
    const range = `bytes ${String(from)}-${String(blob.length - 1)}/${String(blob.length)}`
    response.writeHead(206, { 'content-range': range, 'content-length': part.length })
  } else response.writeHead(200, { 'content-length': part.length })
  response.end(request.method === 'HEAD' ? undefined : part)
}

export async function startScriptedRegistry(): Promise<ScriptedRegistry> {
  const blobs = new Map<string, Buffer>()
  const manifests = new Map<string, Buffer>()
  const requests: string[] = []
  const registry = {
    ...{ blobs, manifests, requests, host: '' },
    intercept: (): boolean => false,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
  const server = createServer((request, response) => {
    const { url = '', method = '' } = request
    requests.push(`${method} ${url} ${request.headers.range ?? ''}`.trim())
    const intercept: ScriptedRegistry['intercept'] = registry.intercept
    if (intercept(request, response)) return
    const key = url.slice(url.lastIndexOf('/') + 1)
    const found = (url.includes('/blobs/') ? blobs : manifests).get(key)
    if (url === '/v2/') response.end('{}')
    else if (found === undefined) response.writeHead(404).end('{}')
    else if (url.includes('/blobs/')) serveBlob(found, request, response)
    else
      response
        .writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' })
        .end(found)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  registry.host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`
  return registry
}

/** An image of one layer with a file of random bytes, under the tag `1`. */
export function publish(registry: ScriptedRegistry, content: Buffer): ScriptedImage {
  const tar = tarOf([{ path: 'file', content }])
  const layer = zlib.gzipSync(tar, { level: 0 })
  const put = (bytes: Buffer, mediaType: string): Descriptor => {
    registry.blobs.set(sha256(bytes), bytes)
    return { mediaType, digest: sha256(bytes), size: bytes.length }
  }
  const config = put(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [sha256(tar)] },
      }),
    ),
    'application/vnd.oci.image.config.v1+json',
  )
  const manifest = {
    schemaVersion: 2,
    config,
    layers: [put(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')],
  }
  publishManifest(registry, manifest)
  return { manifest, layer }
}

/** Puts a document under the tag `1`, and under its digest. */
export function publishManifest(registry: ScriptedRegistry, document: unknown): string {
  const bytes = Buffer.isBuffer(document) ? document : Buffer.from(JSON.stringify(document))
  registry.manifests.set('1', bytes)
  registry.manifests.set(sha256(bytes), bytes)
  return sha256(bytes)
}
