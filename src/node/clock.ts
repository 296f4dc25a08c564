import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type Clock, millis, wallMillis } from '../core/base/index.ts'

const bootIdFile = '/proc/sys/kernel/random/boot_id'

/**
 * This process's clock. On Linux the monotonic time counts from boot for every process and `bootId` names the boot;
 * elsewhere the id is this process's own, so that nothing of another process is ever compared.
 */
export function systemClock(): Clock {
  // Both count CLOCK_MONOTONIC: one since boot, the other since the process began, which is much cheaper to ask.
  const processBeganAt = Number(process.hrtime.bigint()) / 1e6 - performance.now()
  return {
    monotonic: () => millis(processBeganAt + performance.now()),
    // The only wall clock of the product. oxlint-disable-next-line no-restricted-properties
    wall: () => wallMillis(Date.now()),
    bootId: readBootId()
  }
}

function readBootId(): string {
  if (process.platform !== 'linux') return randomUUID()
  try {
    const id = readFileSync(bootIdFile, 'latin1').trim()
    return /^[0-9a-f-]{36}$/.test(id) ? id : randomUUID()
  } catch {
    return randomUUID()
  }
}
