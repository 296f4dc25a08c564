/** One package of package-lock.json, as far as the checks read it. */
export interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly devOptional?: boolean
  readonly hasInstallScript?: boolean
  readonly license?: string
  readonly bin?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Record<string, string>
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

/** Reads a lock of version 3. @throws Error when it is none. */
export function readLock(text: string): Lock {
  const lock: { readonly lockfileVersion?: number } & Lock = JSON.parse(text)
  if (lock.lockfileVersion !== 3 || typeof lock.packages !== 'object') throw new Error('package-lock.json is not a lock of version 3')
  return lock
}
