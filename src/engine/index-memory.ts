const leastBytes = 512 * 2 ** 20;
const mostBytes = 3 * 2 ** 30;

/**
 * Bytes of indexes that are kept in memory: a quarter of what the machine or the process's limit has, 512 MiB to 3 GiB.
 * An index of a million memories takes about 900 MB; dropped whenever a small namespace is asked, it would have to be
 * read from its snapshot each time. One that is larger by itself has its words read from a file.
 * @param limitBytes What the system allows the process; 0 or none where it sets no limit.
 */
export function maxIndexBytes(machineBytes: number, limitBytes: number | undefined): number {
  const available = limitBytes ? Math.min(machineBytes, limitBytes) : machineBytes;
  return Math.min(mostBytes, Math.max(leastBytes, Math.floor(available / 4)));
}
