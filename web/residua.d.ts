/** Residua's engine for use in other pages: RQ-VAE and RQ-Transformer with WebGPU, or on the CPU without it. */

/** Sets the base URL of the engine's files. Only needed if they are not in the same folder as residua.js. */
export default function init(options?: { base?: string }): void;

/** The codes of one picture. */
export interface Codes {
  /** Row-major in (row, column, depth). */
  codes: Uint16Array;
  /** Height and width in cells, and codes per cell. */
  shape: [number, number, number];
}

/** How to watch and stop work. */
export interface Watch {
  /** Stops the work at its next step; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Gets the units done and in total: bytes while downloading, tensors while loading, steps over all pictures while sampling. */
  onProgress?: (done: number, total: number) => void;
}

export interface LoadOptions extends Watch {
  /** The RQ-VAE, if it is not stored with the transformer: an address, a file or files. */
  rqvae?: string | File | File[];
  /**
   * `auto` (default): WebGPU on a hardware GPU, otherwise the CPU. `gpu` also accepts a software adapter. If the GPU is lost or
   * gives a wrong result, the model is loaded again and unfinished calls are repeated: without the wrong kernel, or if that does
   * not help, on the CPU. With `gpu`, calls then reject instead.
   */
  device?: "auto" | "cpu" | "gpu";
  /** Precision of the transformer's weights: as stored (default), half precision, or 8 bits. */
  precision?: "stored" | "f16" | "q8";
}

export interface SampleOptions extends Watch {
  /** Number of pictures. Default: 1. */
  count?: number;
  /** Random seed. Default: 0. */
  seed?: number;
  /** Index of the first picture in the seed's sequence. Default: 0. */
  first?: number;
  /** Divides the logits. The default for this and the next three is the model's configuration. */
  temperature?: number;
  /** Keeps the K likeliest codes; 0 keeps all. */
  topK?: number;
  /** Probability mass kept; 0 and 1 keep all. */
  topP?: number;
  /** Above 1: closer to the class or prompt, and less varied. 0: ignores it. Only for models also trained without their condition. */
  guidance?: number;
  /** A class by name or number, for class-conditional models. */
  class?: string;
  /** A caption, for text-conditional models. */
  prompt?: string;
}

/** A sampled picture and its codes. */
export interface Made extends Codes {
  picture: ImageData;
}

/** A model in its own worker. */
export class Residua {
  /**
   * Loads a model: `characters-128` (default) or `characters-128-ar`, the address of a `.safetensors`, `.pt` or `.tar.gz`,
   * a file, or files (a `.pt` and its `config.yaml`). The browser stores downloads.
   */
  static load(model?: string | File | File[], options?: LoadOptions): Promise<Residua>;
  /** `cpu` or `gpu`, and details. Changes if the model moves to the CPU. */
  readonly device: string;
  /** Side of the pictures, in pixels. */
  readonly resolution: number;
  /** Shape of the codes. */
  readonly shape: [number, number, number];
  /** Whether the model has a transformer. */
  readonly canSample: boolean;
  /** Encodes the central square of a picture, scaled to the model's size. */
  encode(
    picture: Blob | BufferSource | ImageData | HTMLImageElement | HTMLCanvasElement | ImageBitmap,
    options?: Watch,
  ): Promise<Codes>;
  /** Decodes codes to a picture. */
  decode(codes: { codes: ArrayLike<number>; shape: ArrayLike<number> }, options?: Watch): Promise<ImageData>;
  /** Samples new pictures. The same seed, model and kind of device give the same codes. */
  sample(options?: SampleOptions): Promise<Made[]>;
  /** The engine's memory in bytes, without GPU memory. */
  memory(): Promise<number>;
  /** Stops the worker and frees all memory. */
  close(): void;
}
