import type { ProfileTools } from '../../api/index.ts'
import { MeshError, toHex, version } from '../../core/base/index.ts'
import type { ProfilePaths } from '../../core/options/index.ts'
import { peerIdText } from '../../core/peers/peer-id-text.ts'
import { changePassphrase as rewriteKeyFile, type KeyFileInfo, readKeyFile } from '../../node/key-file.ts'
import { writeBackup } from '../../node/keys/backup.ts'
import { restoreBackup } from '../../node/keys/restore.ts'
import { readConfigFile } from '../config-file.ts'
import { loadOptions, setOption } from '../profile.ts'

type Tools = Pick<ProfileTools, 'showKeys' | 'backup' | 'restore' | 'changePassphrase'>

/** Everything about keys and backups of a profile. */
export const keyTools: Tools = {
  showKeys: (paths) => {
    const { publicKey, isEncrypted } = keyFileOf(paths)
    return { peerId: peerIdText(publicKey), publicKey: toHex(publicKey), encrypted: isEncrypted, file: paths.identityFile }
  },

  backup: async ({ paths, target, passphraseFile, snapshot }) => {
    if (readConfigFile(paths.configFile).text === undefined) throw new MeshError('NOT_INITIALIZED', { profile: paths.profile })
    const { file, bytes, peerId, isIdentityEncrypted, files } = await writeBackup({
      paths,
      target,
      passphraseFile,
      snapshot,
      version,
      createdAt: Date.now()
    })
    return { file, bytes, peerId, encryptedIdentity: isIdentityEncrypted, files: files.map(({ name, bytes: size }) => ({ name, bytes: size })) }
  },

  restore: async (request) => {
    const restored = await restoreBackup({ ...request, now: Date.now() })
    const { profile, peerId, createdAt, messages, invites, hadTokens, isIdentityEncrypted, kept } = restored
    return {
      profile,
      peerId,
      madeAt: createdAt,
      expiredUnknown: messages,
      burntInvites: invites,
      voidTokens: hadTokens,
      encryptedIdentity: isIdentityEncrypted,
      kept: [...kept]
    }
  },

  changePassphrase: async ({ paths, environment, from, to }) => {
    const { isEncrypted } = keyFileOf(paths)
    const now = from ?? (isEncrypted ? loadOptions(paths, environment).passphraseFile : '')
    const changed = await rewriteKeyFile(paths.identityFile, now, to)
    setOption(paths, { key: 'passphrase_file', value: to }, environment)
    return { peerId: peerIdText(changed.publicKey), encrypted: changed.isEncrypted, passphraseFile: to }
  }
}

function keyFileOf(paths: ProfilePaths): KeyFileInfo {
  const known = readKeyFile(paths.identityFile)
  if (known === undefined) throw new MeshError('NOT_INITIALIZED', { profile: paths.profile })
  return known
}
