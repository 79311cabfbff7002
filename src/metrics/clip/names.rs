//! What the two published forms of CLIP's weights call their tensors.

/// The names of one form.
#[derive(Debug)]
pub(super) struct Names {
    /// The image encoder's.
    pub image: Tower,
    /// The text encoder's.
    pub text: Tower,
    /// What stands before the patches, `[width]`.
    pub class: &'static str,
    /// The convolution that makes patches into vectors, `[width, 3, patch, patch]`.
    pub patches: &'static str,
    /// The norm before the image encoder's blocks.
    pub norm_before: &'static str,
    /// A vector for each token, `[vocabulary, width]`.
    pub tokens: &'static str,
    /// Within a block of either encoder.
    pub block: Block,
    /// Whether projections are linear layers, `[embedding, width]`, instead of matrices to multiply by.
    pub projections_are_layers: bool,
    /// A tensor that OpenAI's own files have, and others not.
    pub openai: Option<&'static str>,
    /// Ends of names that belong to the file and are not read.
    pub unread: &'static [&'static str],
}

/// What both encoders have.
#[derive(Debug)]
pub(super) struct Tower {
    /// A vector for each position, `[positions, width]`.
    pub positions: &'static str,
    /// What stands before the number of a block.
    pub blocks: &'static str,
    /// The norm of what the encoder says.
    pub norm: &'static str,
    /// From the encoder's width to that of the embeddings.
    pub projection: &'static str,
}

/// A block's.
#[derive(Debug)]
pub(super) struct Block {
    /// Before attention, and before the MLP.
    pub norms: [&'static str; 2],
    /// Weights of queries, keys and values: one after the other, or all in one.
    pub qkv_weights: &'static [&'static str],
    /// Their biases.
    pub qkv_biases: &'static [&'static str],
    /// The layer after attention.
    pub out: &'static str,
    /// The MLP's two layers.
    pub mlp: [&'static str; 2],
}

/// The names that OpenAI's weights have, and OpenCLIP's.
const OPENAI: Names = Names {
    image: Tower {
        positions: "visual.positional_embedding",
        blocks: "visual.transformer.resblocks.",
        norm: "visual.ln_post",
        projection: "visual.proj",
    },
    text: Tower {
        positions: "positional_embedding",
        blocks: "transformer.resblocks.",
        norm: "ln_final",
        projection: "text_projection",
    },
    class: "visual.class_embedding",
    patches: "visual.conv1.weight",
    norm_before: "visual.ln_pre",
    tokens: "token_embedding.weight",
    block: Block {
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

/// The names of Hugging Face's `CLIPModel`.
const HUGGING_FACE: Names = Names {
    image: Tower {
        positions: "vision_model.embeddings.position_embedding.weight",
        blocks: "vision_model.encoder.layers.",
        norm: "vision_model.post_layernorm",
        projection: "visual_projection.weight",
    },
    text: Tower {
        positions: "text_model.embeddings.position_embedding.weight",
        blocks: "text_model.encoder.layers.",
        norm: "text_model.final_layer_norm",
        projection: "text_projection.weight",
    },
    class: "vision_model.embeddings.class_embedding",
    patches: "vision_model.embeddings.patch_embedding.weight",
    // As it is spelt there.
    norm_before: "vision_model.pre_layrnorm",
    tokens: "text_model.embeddings.token_embedding.weight",
    block: Block {
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

/// All forms.
pub(super) static ALL: [Names; 2] = [OPENAI, HUGGING_FACE];
