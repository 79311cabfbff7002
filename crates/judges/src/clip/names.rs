//! Tensor names in the two published layouts of CLIP's weights.

/// The names of one layout.
#[derive(Debug)]
pub(super) struct Names {
    /// Names of the image encoder.
    pub image: TowerNames,
    /// Names of the text encoder.
    pub text: TowerNames,
    /// The class token before the patches, `[width]`.
    pub class: &'static str,
    /// The convolution that embeds patches, `[width, 3, patch, patch]`.
    pub patches: &'static str,
    /// The norm before the image encoder's blocks.
    pub norm_before: &'static str,
    /// Token embeddings, `[vocabulary, width]`.
    pub tokens: &'static str,
    /// Names within a block of either encoder.
    pub block: BlockNames,
    /// True if projections are linear layers, `[embedding, width]`; false if they are matrices to multiply
    /// by.
    pub projections_are_layers: bool,
    /// A tensor that only OpenAI's own files have.
    pub openai: Option<&'static str>,
    /// Suffixes of tensor names to ignore.
    pub unread: &'static [&'static str],
}

/// Names that both encoders have.
#[derive(Debug)]
pub(super) struct TowerNames {
    /// Position embeddings, `[positions, width]`.
    pub positions: &'static str,
    /// Prefix of a block's number.
    pub blocks: &'static str,
    /// The norm of the output.
    pub norm: &'static str,
    /// The projection from the encoder's width to the embedding.
    pub projection: &'static str,
}

/// Names within a block.
#[derive(Debug)]
pub(super) struct BlockNames {
    /// The norms before attention and before the MLP.
    pub norms: [&'static str; 2],
    /// Weights of queries, keys and values: separate, or in one tensor.
    pub qkv_weights: &'static [&'static str],
    /// Their biases.
    pub qkv_biases: &'static [&'static str],
    /// The output projection of attention.
    pub out: &'static str,
    /// The MLP's two layers.
    pub mlp: [&'static str; 2],
}

/// The names in OpenAI's and OpenCLIP's weights.
const OPENAI: Names = Names {
    image: TowerNames {
        positions: "visual.positional_embedding",
        blocks: "visual.transformer.resblocks.",
        norm: "visual.ln_post",
        projection: "visual.proj",
    },
    text: TowerNames {
        positions: "positional_embedding",
        blocks: "transformer.resblocks.",
        norm: "ln_final",
        projection: "text_projection",
    },
    class: "visual.class_embedding",
    patches: "visual.conv1.weight",
    norm_before: "visual.ln_pre",
    tokens: "token_embedding.weight",
    block: BlockNames {
        norms: ["ln_1", "ln_2"],
        qkv_weights: &["attn.in_proj_weight"],
        qkv_biases: &["attn.in_proj_bias"],
        out: "attn.out_proj",
        mlp: ["mlp.c_fc", "mlp.c_proj"],
    },
    projections_are_layers: false,
    openai: Some("input_resolution"),
    unread: &["logit_scale", "input_resolution", "context_length", "vocab_size", "attn_mask"],
};

/// The names in Hugging Face's `CLIPModel`.
const HUGGING_FACE: Names = Names {
    image: TowerNames {
        positions: "vision_model.embeddings.position_embedding.weight",
        blocks: "vision_model.encoder.layers.",
        norm: "vision_model.post_layernorm",
        projection: "visual_projection.weight",
    },
    text: TowerNames {
        positions: "text_model.embeddings.position_embedding.weight",
        blocks: "text_model.encoder.layers.",
        norm: "text_model.final_layer_norm",
        projection: "text_projection.weight",
    },
    class: "vision_model.embeddings.class_embedding",
    patches: "vision_model.embeddings.patch_embedding.weight",
    // The misspelling is Hugging Face's own.
    norm_before: "vision_model.pre_layrnorm",
    tokens: "text_model.embeddings.token_embedding.weight",
    block: BlockNames {
        norms: ["layer_norm1", "layer_norm2"],
        qkv_weights: &["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
        qkv_biases: &["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"],
        out: "self_attn.out_proj",
        mlp: ["mlp.fc1", "mlp.fc2"],
    },
    projections_are_layers: true,
    openai: None,
    unread: &["logit_scale", "position_ids"],
};

/// All layouts.
pub(super) static ALL: [Names; 2] = [OPENAI, HUGGING_FACE];
