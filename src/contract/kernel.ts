/** Memory a kernel works in. */
export interface KernelMemory {
  /** All of it; another object after each growth. */
  readonly buffer: ArrayBuffer;
  /** Takes more pages from the system. */
  grow(pages: number): number;
}

/** The part of the engine's WebAssembly that is used; the compiler's library for Node has none of it. */
interface WebAssemblyEngine {
  Memory: new (size: { initial: number; maximum: number }) => KernelMemory;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: KernelMemory } }) => { exports: object };
}

/** Bytes of the pages by which a kernel's memory is measured. */
export const kernelPageBytes = 65_536;

/** Memory of so many pages, which may grow to the maximum. */
export function kernelMemory(pages: number, maximum: number): KernelMemory {
  const { Memory } = engine();
  return new Memory({ initial: pages, maximum });
}

/**
 * A compiled kernel's functions, over the memory.
 * @param code WebAssembly, base64.
 */
export function instantiateKernel<Kernel>(code: string, memory: KernelMemory): Kernel {
  const { Module, Instance } = engine();
  return new Instance(new Module(Buffer.from(code, "base64")), { env: { memory } }).exports as Kernel;
}

function engine(): WebAssemblyEngine {
  return Reflect.get(globalThis, "WebAssembly") as WebAssemblyEngine;
}
