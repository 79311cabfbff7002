/** Residua's engine for other people's pages: RQ-VAE and RQ-Transformer by WebGPU, or on the CPU where there is none. */

/** Says where the engine's files lie, if not beside residua.js. Needs to be called only for that. */
export default function init(options?: { base?: string }): void;

/** The codes of one picture. */
export interface Codes {
  /** Row-major in (row, column, depth). */
  codes: Uint16Array;
  /** Height and width in cells, and codes a cell. */
  shape: [number, number, number];
}

/** How long work is watched and ended. */
export interface Watch {
  /** Ends the work at its next step; the promise is then rejected with the signal's reason. */
  signal?: AbortSignal;
  /** Told units done and units in all: bytes while downloading, tensors while loading, cells while sampling. */
  onProgress?: (done: number, total: number) => void;
}

export interface LoadOptions extends Watch {
  /** The RQ-VAE, where the transformer does not find it beside itself: an address, a file or files. */
  rqvae?: string | File | File[];
  /** `auto` (default): WebGPU where it is made of silicon, else the CPU. `gpu` takes any WebGPU. */
  device?: "auto" | "cpu" | "gpu";
  /** How the transformer's weights are kept: as they are (default), in half precision, in 8 bits. */
  precision?: "stored" | "f16" | "q8";
}

export interface SampleOptions extends Watch {
  /** How many pictures; 1 unless said. */
  count?: number;
  /** Seed of all draws; 0 unless said. */
  seed?: number;
  /** Number of the first picture among those of the seed; 0 unless said. */
  first?: number;
  /** Divides the logits; as the model's configuration says unless said, and so are the next three. */
  temperature?: number;
  /** Codes kept by rank; 0 keeps all. */
  topK?: number;
  /** Probability mass kept; 0 and 1 keep all. */
  topP?: number;
  /** Above 1: closer to the class or prompt, and less varied; 0: without it. Only for models trained without their condition, too. */
  guidance?: number;
  /** A class by name or number, for a model of classes. */
  class?: string;
  /** A caption, for a model of captions. */
  prompt?: string;
}

/** A picture that was sampled. */
export interface Made extends Codes {
  picture: ImageData;
}

/** A model in a worker of its own. */
export class Residua {
  /**
   * Loads a model: `emoji-64` or `emoji-64-captions`, the address of a `.safetensors`, `.pt` or `.tar.gz`, a file, or files: a
   * `.pt` and the `config.yaml` that belongs to it. What is downloaded is kept by the browser.
   */
  static load(model?: string | File | File[], options?: LoadOptions): Promise<Residua>;
  /** `cpu` or `gpu`, and what is known of it. */
  readonly device: string;
  /** Side of the pictures, in pixels. */
  readonly resolution: number;
  /** Shape of the codes. */
  readonly shape: [number, number, number];
  /** Whether the model has a transformer. */
  readonly canSample: boolean;
  /** The codes of a picture's middle, at the model's size. */
  encode(
    picture: Blob | BufferSource | ImageData | HTMLImageElement | HTMLCanvasElement | ImageBitmap,
    options?: Watch,
  ): Promise<Codes>;
  /** What codes look like. */
  decode(codes: { codes: ArrayLike<number>; shape: ArrayLike<number> }, options?: Watch): Promise<ImageData>;
  /** New pictures. The same seed, model and kind of device give the same codes. */
  sample(options?: SampleOptions): Promise<Made[]>;
  /** Bytes of memory that the engine was given, without what is on the GPU. */
  memory(): Promise<number>;
  /** Ends the worker and frees all memory. */
  close(): void;
}
