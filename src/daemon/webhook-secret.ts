import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { MeshError, utf8 } from '../core/base/index.ts'
import type { ProfilePaths } from '../core/options/index.ts'
import type { WebhookSecret } from '../api/index.ts'
import { createPrivateFile, ensurePrivateFolder, readPrivateFile } from '../node/files.ts'

const secretBytes = { min: 24, max: 64, made: 32 } as const

/**
 * The key that signs webhooks: whsec_ and base64, as Standard Webhooks 1.0.0 writes it. `file`: another one than the profile's, which is made where it is missing.
 * @throws {MeshError} OPTION_INVALID when the file holds none, PERMISSIONS_UNSAFE, PATH_UNSAFE
 */
export function webhookSecret(paths: ProfilePaths, file?: string): WebhookSecret {
  const path = file ?? join(paths.stateFolder, 'webhook.secret')
  const found = readPrivateFile(path)
  if (found !== undefined) return { file: path, created: false, secret: parse(found, path) }
  if (file !== undefined) throw new MeshError('PATH_UNSAFE', { file, reason: 'it does not exist' })
  ensurePrivateFolder(paths.stateFolder)
  const secret = new Uint8Array(randomBytes(secretBytes.made))
  createPrivateFile(path, utf8(`whsec_${Buffer.from(secret).toString('base64')}\n`))
  return { file: path, created: true, secret }
}

function parse(bytes: Uint8Array, file: string): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1').trim()
  const [, base64] = /^whsec_([A-Za-z0-9+/]{32,88}={0,2})$/.exec(text) ?? []
  const secret = new Uint8Array(Buffer.from(base64 ?? '', 'base64'))
  if (secret.length >= secretBytes.min && secret.length <= secretBytes.max) return secret
  throw new MeshError('OPTION_INVALID', {
    path: '--webhook-secret-file',
    value: file.slice(0, 200),
    allowed: `a file with whsec_ and ${secretBytes.min} to ${secretBytes.max} bytes in base64`
  })
}
