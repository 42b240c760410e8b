"""Which diagnoses are kinds of which: the vocabulary's ids are a list, and labels are of different fineness.

Only what the publishers' own descriptions or ICD-11's hierarchy put together stands here; a diagnosis may be
a kind of several. Collective labels (HAM10000's AKIEC, BKL, VASC) are above what they collect.
Source: Tschandl et al. 2018, doi 10.1038/sdata.2018.161, table 1 and text; ICD-11 MMS, chapters 2 and 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

_KINDS = """
melanoma: melanoma_in_situ superficial_spreading_melanoma nodular_melanoma acral_lentiginous_melanoma
melanoma: lentigo_maligna_melanoma melanoma_breslow_lt_0_76_mm melanoma_breslow_0_76_1_5_mm
melanoma: melanoma_breslow_gt_1_5_mm melanoma_metastasis
melanoma_in_situ: lentigo_maligna
melanocytic_nevus: compound_nevus junctional_nevus dermal_nevus atypical_clark_dysplastic_nevus blue_nevus
melanocytic_nevus: combined_nevus congenital_melanocytic_nevus recurrent_nevus spitz_or_reed_nevus halo_nevus
melanocytic_nevus: nevus_spilus nevus_incipiens nail_matrix_nevus
spitz_or_reed_nevus: reed_nevus atypical_reed_nevus
lentigo: solar_lentigo
basal_cell_carcinoma: basal_cell_carcinoma_nodular basal_cell_carcinoma_superficial
basal_cell_carcinoma: basal_cell_carcinoma_morpheaform basal_cell_carcinoma_solid_cystic
squamous_cell_carcinoma: squamous_cell_carcinoma_in_situ_bowen_disease
squamous_cell_carcinoma: squamous_cell_carcinoma_keratoacanthoma_type
actinic_keratosis_or_intraepithelial_carcinoma_akiec: actinic_keratosis
actinic_keratosis_or_intraepithelial_carcinoma_akiec: squamous_cell_carcinoma_in_situ_bowen_disease
benign_keratosis: seborrheic_keratosis solar_lentigo lichenoid_keratosis
seborrheic_keratosis: irritated_seborrheic_keratosis dermatosis_papulosa_nigra
epidermal_nevus: linear_epidermal_nevus
porokeratosis: porokeratosis_of_mibelli disseminated_superficial_actinic_porokeratosis
vascular_lesion: hemangioma angiokeratoma pyogenic_granuloma
hemangioma: cherry_angioma infantile_hemangioma arteriovenous_hemangioma
cutaneous_t_cell_lymphoma: mycosis_fungoides subcutaneous_panniculitis_like_t_cell_lymphoma
xanthoma: diffuse_xanthoma eruptive_xanthoma
eczema: acute_eczema eczema_spongiotic_dermatitis infected_eczema hand_eczema dyshidrotic_eczema
eczema: nummular_discoid_eczema asteatotic_eczema_eczema_craquele atopic_dermatitis
atopic_dermatitis: infantile_atopic_dermatitis
contact_dermatitis: allergic_contact_dermatitis irritant_contact_dermatitis
allergic_contact_dermatitis: toxicodendron_dermatitis
prurigo: prurigo_nodularis
psoriasis: plaque_psoriasis guttate_psoriasis inverse_psoriasis pustular_psoriasis scalp_psoriasis
psoriasis: nail_psoriasis mucous_membrane_psoriasis
pityriasis_lichenoides: pityriasis_lichenoides_chronica pityriasis_lichenoides_et_varioliformis_acuta
ichthyosis: ichthyosis_vulgaris
bullous_pemphigoid: childhood_bullous_pemphigoid
lupus_erythematosus: cutaneous_lupus_erythematosus
cutaneous_lupus_erythematosus: discoid_lupus_erythematosus subacute_cutaneous_lupus_erythematosus
cutaneous_vasculitis: leukocytoclastic_vasculitis urticarial_vasculitis
drug_eruption: fixed_drug_eruption acute_generalized_exanthematous_pustulosis
acne: acne_vulgaris cystic_acne steroid_acne pomade_acne
hyperpigmentation: post_inflammatory_hyperpigmentation
poikiloderma: poikiloderma_of_civatte
photodermatosis: polymorphous_light_eruption chronic_actinic_dermatitis
skin_disease_caused_by_warts: common_wart_verruca_vulgaris flat_wart condyloma_acuminatum_anogenital_warts
tinea_dermatophytosis: tinea_capitis tinea_corporis tinea_cruris tinea_faciei tinea_manuum tinea_pedis
tinea_capitis: kerion
candidiasis: candidal_intertrigo
cheilitis: actinic_cheilitis angular_cheilitis
ulcer: stasis_ulcer foot_ulcer pressure_ulcer traumatic_ulcer
foot_ulcer: neuropathic_plantar_ulcer_mal_perforans
burn_of_skin: burn_of_forearm
striae: steroid_striae
"""


@cache
def broader() -> Mapping[str, frozenset[str]]:
    """For each diagnosis that is a kind of others, all of them, up to the top."""
    above: dict[str, set[str]] = {}
    for line in _KINDS.strip().splitlines():
        parent, _, kinds = line.partition(": ")
        for kind in kinds.split():
            above.setdefault(kind, set()).add(parent)

    def climb(name: str) -> frozenset[str]:
        parents = above.get(name, set())
        return frozenset(parents).union(*(climb(parent) for parent in parents))

    return {name: climb(name) for name in above}


def related(one: str, other: str) -> bool:
    """Whether two diagnoses are the same, or one is a kind of the other; siblings are not related.

    >>> related("melanoma_in_situ", "melanoma"), related("nodular_melanoma", "melanoma_in_situ")
    (True, False)
    """
    above = broader()
    return one == other or one in above.get(other, ()) or other in above.get(one, ())
