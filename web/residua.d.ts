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
  /** Stops the work at its next step. The promise rejects with the signal's reason. */
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

/** A picture, in any form that a page may have. */
export type Picture = Blob | BufferSource | ImageData | HTMLImageElement | HTMLCanvasElement | ImageBitmap;

/** Codes to read. Each is a whole number, from 0 to the size of its codebook less 1. */
export interface AnyCodes {
  /** Row-major in (row, column, depth). */
  codes: ArrayLike<number>;
  /** Height and width in cells, and codes per cell. */
  shape: ArrayLike<number>;
}

/** Row, column and depth of a code, each from 0. */
export type Place = [row: number, column: number, depth: number];

/** One value for all depths, or a list with one for each depth. */
export type PerDepth = number | number[];

/** What pictures show. A model takes either classes, captions or neither. */
export interface ConditionOptions extends Watch {
  /** A class by name or number, for class-conditional models. */
  class?: string | number;
  /** A caption, for text-conditional models. */
  prompt?: string;
}

/** Other names than these are refused. */
export interface SampleOptions extends ConditionOptions {
  /** Number of pictures, at least 1. Default: 1. */
  count?: number;
  /** Random seed, a whole number from 0: the same seed gives the same pictures. Default: 0. */
  seed?: number;
  /** Number of the first picture within the seed, from 0. Default: 0. */
  first?: number;
  /**
   * Below 1, likely codes are favoured; 0 always takes the most likely. The default for this and the next three is the model's
   * configuration.
   */
  temperature?: PerDepth;
  /** Samples from the K most likely codes; 0: from all. */
  topK?: PerDepth;
  /** From 0 to 1. Samples from the most likely codes whose probabilities add up to this; 0 or 1: from all. */
  topP?: PerDepth;
  /**
   * From 0 to 100. Above 1: closer to the class or prompt, and less varied. 0: ignores it. Only for models also trained without
   * their condition.
   */
  guidance?: PerDepth;
  /**
   * For contextual models: drafts the cells in this many random parts, each given those before it. Default: 16, or fewer for a
   * part of the cells. 0 only revises the codes given to `complete`.
   */
  draft?: number;
  /** For contextual models: how often the draft is revised, and in how many parts each time. Default: 2 and 2. */
  revise?: { rounds: number; parts: number };
}

/** Other names than these are refused. */
export interface ExplainOptions extends ConditionOptions {
  /** Number of suggestions. Default: 10. */
  count?: number;
}

/** A picture and its codes. */
export interface Made extends Codes {
  picture: ImageData;
}

/** A picture's codes, and what they keep of it. */
export interface Reconstruction extends Made {
  /** The picture as the model saw it: its central square, at the model's size. */
  original: ImageData;
  /** Decoded from one code per cell, from two, and so on. The last is `picture`. */
  partials: ImageData[];
  /** Mean length, over cells, of what one code, two and so on leave of the latent. */
  residualNorms: number[];
  /** Mean length of the latents themselves. */
  latentNorm: number;
  /** Of `picture`, in decibels; `Infinity` if it equals `original`. */
  psnr: number;
  /** Of `picture`, at most 1. */
  ssim: number;
  /** Size of the codes. */
  bitsPerPixel: number;
}

/** A code that the transformer predicts. */
export interface Suggestion {
  code: number;
  /** From 0 to 1, before temperature, top-k and top-p. */
  probability: number;
}

/** What the transformer predicts at one place. */
export interface Explanation {
  /** The most likely codes, best first. */
  suggestions: Suggestion[];
  /** Of the whole distribution, in bits. */
  entropy: number;
  /** The code that is there. The surprise in bits is `-Math.log2(chosen.probability)`. */
  chosen: Suggestion;
  /** Number of codes more likely than the chosen one. */
  rank: number;
}

/** A new code at a place. */
export interface Change {
  place: Place;
  code: number;
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
  /** Whether the model has a transformer, and so can sample, complete and explain. */
  readonly canSample: boolean;
  /** Names of the model's classes; empty if they have none, or if it takes no class. */
  readonly classes: string[];
  /** Encodes the central square of a picture, scaled to the model's size. */
  encode(picture: Picture, options?: Watch): Promise<Codes>;
  /** Decodes codes to a picture. */
  decode(codes: AnyCodes, options?: Watch): Promise<ImageData>;
  /** Encodes a picture, and decodes it from one code per cell, from two, and so on. */
  reconstruct(picture: Picture, options?: Watch): Promise<Reconstruction>;
  /** Samples new pictures. The same seed, model and kind of device give the same codes. */
  sample(options?: SampleOptions): Promise<Made[]>;
  /** Samples the cells for which `keep` returns false. The others keep their codes. */
  complete(codes: AnyCodes, keep: (row: number, column: number) => boolean, options?: SampleOptions): Promise<Made[]>;
  /** What the transformer predicts at a place given the codes before it, or for a contextual model, all other cells. */
  explain(codes: AnyCodes, place: Place, options?: ExplainOptions): Promise<Explanation>;
  /** Changes codes, in order, and decodes them. `codes` itself stays as it is. */
  edit(codes: AnyCodes, changes: Change[], options?: Watch): Promise<Made>;
  /** The engine's memory in bytes, without GPU memory. */
  memory(): Promise<number>;
  /** Stops the worker and frees all memory. */
  close(): void;
}
