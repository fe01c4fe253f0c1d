/**
 * One registry, spoken to as OCI Distribution 1.1 says (https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md),
 * which is Docker Registry HTTP API v2. It is not trusted: what it gives is bounded, and digests are checked by the caller,
 * who knows what it asked for.
 */

export interface RemoteManifest {
  readonly bytes: Buffer
  readonly mediaType: string
  /** Of the bytes. */
  readonly digest: string
}

export interface RemoteBlob {
  /** Where the first chunk begins: 0 if the registry can't give a part. */
  readonly start: number
  readonly chunks: AsyncIterable<Buffer>
}

export interface WantedBlob {
  readonly digest: string
  /** Other repositories of the registry that may have it. */
  readonly mountFrom?: readonly string[]
}

export interface BlobUpload extends WantedBlob {
  /** Bytes. */
  readonly size: number
  /** From a byte on; once more for each attempt. */
  readonly open: (from: number) => AsyncIterable<Buffer>
  readonly onProgress?: (sentBytes: number) => void
}

export type FoundBlob = 'present' | 'mounted'
export type UploadOutcome = FoundBlob | 'sent'

/** All functions throw {PERMISSION_DENIED} {NOT_FOUND} {UNAVAILABLE} {FAILED_PRECONDITION} {CANCELLED}. */
export interface Registry {
  /**
   * Whether it is a registry and lets us in.
   * @returns an identity token, where its token service gives one that can stand for the password
   */
  logIn(): Promise<string | undefined>
  /** @param reference - tag or digest. @throws {INVALID_ARGUMENT} larger than 4 MiB, or not of that digest */
  manifest(repository: string, reference: string): Promise<RemoteManifest>
  /** The digest that a tag has; its manifest is fetched only where the registry does not say it. Undefined: no such tag. */
  digestOf(repository: string, tag: string): Promise<string | undefined>
  /** One attempt: whoever reads knows what it has already. */
  blob(repository: string, digest: string, from?: number): Promise<RemoteBlob>
  hasManifest(repository: string, digest: string): Promise<boolean>
  /** Makes a blob part of a repository without sending it. Undefined: the registry does not have it. */
  find(repository: string, blob: WantedBlob): Promise<FoundBlob | undefined>
  /** Sends a blob, unless it is there or can be mounted from another repository. */
  upload(repository: string, blob: BlobUpload): Promise<UploadOutcome>
  putManifest(
    repository: string,
    reference: string,
    manifest: Omit<RemoteManifest, 'digest'>,
  ): Promise<void>
  /** All tags of a repository, at most 10,000. */
  tags(repository: string): Promise<string[]>
  close(): void
}
